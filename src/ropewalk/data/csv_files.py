"""Reads one CSV file into a table; a column's type comes from all of its cells, never from a sample."""

import codecs
import csv
import gzip
import io
import zlib
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from ropewalk.errors import DataError

MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"),
]
"""Cells that count as missing, in columns of every type."""

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BLOCK_BYTES = 16 * 2**20
_HEAD_BYTES = 2**20
_LONGEST_CELL = 2**27
_FIRST_CELLS = 100
_OTHER_TYPES = [pa.bool_(), pa.timestamp("us"), pa.timestamp("us", "UTC")]
_DECIMAL_COMMA = r"^[+-]?[0-9]+(,[0-9]+)?$"
_LONGEST_INTEGER = 2**63
_DIGITS = r"^[+-]?[0-9]+$"
_LEADING_ZERO = r"^[+-]?0[0-9]"


def read_csv(path: Path, *, name: str) -> pa.Table:
    """Return the file as a table of int64, float64, bool, timestamp, string and null columns.

    A column gets the first of those types that fits every cell; one odd cell makes it text. Numbers with leading
    zeros or more than 18 digits (postal codes, identifiers) stay text. Between semicolons "1,5" is a number.

    Args:
        path: A .csv or .tsv file in UTF-8, possibly compressed by gzip.
        name: What messages call the file.

    Raises:
        DataError: The file is empty, ragged, cut off or not UTF-8, or its columns lack names of their own.
    """
    csv.field_size_limit(_LONGEST_CELL)
    try:
        quotes = _count_quotes(path, name)
        header, delimiter = _read_header(path, name)
        table = _read_as_text(path, name, header, delimiter)
        if quotes % 2:
            _explain_rows(path, name, header, delimiter)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name} is not a whole gzip file ({error}). Copy or compress it again.") from error
    columns = [_convert(column, decimal_comma=delimiter == ";") for column in table.columns]
    return pa.table(columns, names=header)


def _count_quotes(path: Path, name: str) -> int:
    """Return how many quotes (") the file has, after checking that it is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    quotes, offset, line = 0, 0, 1
    with _open_bytes(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise DataError(_encoding_message(name, error, offset - pending, line)) from error
            quotes += block.count(b'"')
            offset += len(block)
            line += block.count(b"\n")
    return quotes


def _encoding_message(name: str, error: UnicodeDecodeError, offset: int, line: int) -> str:
    content, start = error.object, error.start
    if offset == 0 and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"{name} is in UTF-16, not UTF-8. Save it as UTF-8."
    before = content[max(start - 20, 0) : start].splitlines() or [b""]
    shown = (before[-1] + content[start : start + 20].splitlines()[0]).decode("latin-1")
    return (
        f"{name} is not in UTF-8: byte {content[start]:#04x} at offset {offset + start} (line {line}, near "
        f"{shown!r}). Save it as UTF-8, for instance with iconv -f LATIN1 -t UTF-8."
    )


def _read_header(path: Path, name: str) -> tuple[list[str], str]:
    with _open_bytes(path) as stream:
        start = stream.read(_HEAD_BYTES).decode("utf-8-sig", errors="ignore")
    if not start.strip():
        raise DataError(f"{name} is empty: it has neither column names nor rows. Check how it was written.")
    lines = start.splitlines(keepends=True)
    records = {mark: _first_records(lines, mark) for mark in _DELIMITERS}
    consistent = [mark for mark, rows in records.items() if len(rows[0]) > 1 and len(set(map(len, rows))) == 1]
    delimiter = consistent[0] if consistent else max(_DELIMITERS, key=lambda mark: len(records[mark][0]))
    header = records[delimiter][0]
    _check_header(header, name)
    return header, delimiter


def _first_records(lines: list[str], delimiter: str) -> list[list[str]]:
    return list(islice(filter(None, csv.reader(lines, delimiter=delimiter)), 20))


def _check_header(header: list[str], name: str) -> None:
    unnamed = [position for position, column in enumerate(header, start=1) if not column.strip()]
    if unnamed:
        raise DataError(
            f"{name}: column {unnamed[0]} of {len(header)} has no name. Name it in the first line; if pandas "
            "wrote it as an index, save with `to_csv(..., index=False)`."
        )
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DataError(f"{name}: several columns are named {', '.join(map(repr, twice))}. Rename or remove one.")
    if all(map(_is_number, header)) and header != [str(position) for position in range(len(header))]:
        raise DataError(
            f"{name}: the first line looks like data, not column names: {', '.join(header[:5])}. "
            "Put a line with the column names first."
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_as_text(path: Path, name: str, header: list[str], delimiter: str) -> pa.Table:
    try:
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), null_values=MISSING, strings_can_be_null=True
            ),
        )
    except (pa.ArrowInvalid, OSError) as error:
        _explain_rows(path, name, header, delimiter)
        raise DataError(f"{name} cannot be read as CSV ({error}). Write it again.") from error
    if table.column_names != header:
        raise DataError(f"{name}: the first line cannot be split into column names: {header[:10]}. Simplify it.")
    return table


def _explain_rows(path: Path, name: str, header: list[str], delimiter: str) -> None:
    """Raise the error that names the first row which does not fit the header; return when all fit."""
    separator = _DELIMITERS[delimiter]
    row, line = 0, 1
    with _open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for record in reader:
                if record and len(record) != len(header):
                    raise DataError(
                        f"{name}: row {row} (line {line}) has {len(record)} cells, but the first line names "
                        f"{len(header)} columns. The row begins {delimiter.join(record)[:60]!r}. Correct it; "
                        f"put cells that contain a {separator} between quotes."
                    )
                row += bool(record)
                line = reader.line_num + 1
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise DataError(
                    f'{name}: a quote (") in row {row} (line {line}) is never closed. Close or remove it.'
                ) from error


def _convert(column: pa.ChunkedArray, *, decimal_comma: bool) -> pa.ChunkedArray:
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column))])
    trimmed = pc.ascii_trim_whitespace(column)
    numbers = _as_number(trimmed)
    if numbers is None and decimal_comma and _all_match(trimmed, _DECIMAL_COMMA):
        numbers = _cast(pc.replace_substring(trimmed, ",", "."), pa.float64())
    if numbers is not None:
        return column if _is_identifier(trimmed, numbers) else numbers
    for kind in _OTHER_TYPES:
        converted = _cast(trimmed, kind)
        if converted is not None:
            return converted
    return column


def _as_number(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    whole = _cast(column, pa.int64())
    return _cast(column, pa.float64()) if whole is None else whole


def _is_identifier(text: pa.ChunkedArray, numbers: pa.ChunkedArray) -> bool:
    """Say whether digits would be lost: leading zeros, or more digits than a number keeps."""
    if _any_match(text, _LEADING_ZERO):
        return True
    too_long = pa.types.is_floating(numbers.type) and pc.max(pc.abs(numbers)).as_py() >= _LONGEST_INTEGER
    return bool(too_long) and _all_match(text, _DIGITS)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """Return the column as `kind`, or None when one cell cannot be."""
    try:
        # Arrow looks at every cell before it gives up: a few tell most columns apart.
        pc.cast(column.slice(0, _FIRST_CELLS), kind)
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        return None


def _any_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())


def _all_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())


def _open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
