"""Reads one CSV file into a table; a column's type comes from all of its cells, never from a sample."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from ropewalk.data.guess import GuessError
from ropewalk.errors import DataError

MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"),
]
"""Cells that count as missing, in columns of every type."""

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BLOCK_BYTES = 16 * 2**20
_HEAD_BYTES = 2**20
_GUESS_BYTES = 4 * 2**20
_GZIP_RATIO = 4
_LONGEST_CELL = 2**27
_FIRST_CELLS = 100
_INTEGER, _FRACTION = pa.int64(), pa.float64()
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
    with _whole_gzip(name):
        quotes = _count_quotes(path, name)
        header, delimiter = _read_header(path, name)
        table = _read_as_text(path, name, header, delimiter)
        if quotes % 2:
            _explain_rows(path, name, header, delimiter)
    columns = [_convert(column, decimal_comma=delimiter == ";") for column in table.columns]
    return pa.table(columns, names=header)


@dataclass(frozen=True, kw_only=True)
class CsvScan:
    """What a first look at a CSV file found."""

    path: Path
    name: str
    delimiter: str
    rows: int
    """Rows, without the line of column names; after `guess_csv`, an estimate."""
    columns: tuple["_Cells", ...] = field(repr=False)
    guessed: bool
    """Whether the types come from the beginning of the file alone."""
    quoted: bool
    """Whether cells may be between quotes."""

    @property
    def schema(self) -> pa.Schema:
        """The columns with the types that `read_csv` gives them."""
        return pa.schema({column.name: column.kind for column in self.columns})

    def batches(self, *_: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the file, a block at a time, as `read_csv` would return them.

        Raises:
            GuessError: A row does not fit the guessed types.
            DataError: The file has changed since it was scanned.
        """
        yield from _stream_checked(self) if self.guessed else _stream(self)


def guess_csv(path: Path, *, name: str) -> CsvScan:
    """Return what the first 4 MB of the file tell: the types that `scan_csv` finds, unless later rows differ.

    Raises:
        DataError: As `read_csv` does, for the beginning of the file.
    """
    csv.field_size_limit(_LONGEST_CELL)
    with _whole_gzip(name):
        header, delimiter = _read_header(path, name)
        with _open_bytes(path) as stream:
            quoted = b'"' in stream.read(_GUESS_BYTES)
        columns = tuple(_Cells(column, decimal_comma=delimiter == ";") for column in header)
        batches = _stream_as_text(path, name, header, delimiter, block_bytes=_GUESS_BYTES)
        head = next(batches, None)
        batches.close()
    rows = 0
    if head is not None:
        for column, cells in zip(columns, head.columns, strict=True):
            column.add(cells)
        size = path.stat().st_size * (_GZIP_RATIO if path.suffix == ".gz" else 1)
        rows = head.num_rows if size <= _GUESS_BYTES else round(head.num_rows * size / _GUESS_BYTES)
    return CsvScan(path=path, name=name, delimiter=delimiter, rows=rows, columns=columns, guessed=True, quoted=quoted)


def scan_csv(path: Path, *, name: str) -> CsvScan:
    """Return what one pass over the file tells: number of rows, and for each column the type that fits every cell.

    The types are those of `read_csv`; memory does not grow with the file.

    Raises:
        DataError: As `read_csv` does.
    """
    csv.field_size_limit(_LONGEST_CELL)
    with _whole_gzip(name):
        quotes = _count_quotes(path, name)
        header, delimiter = _read_header(path, name)
        columns = tuple(_Cells(column, decimal_comma=delimiter == ";") for column in header)
        rows = 0
        for batch in _stream_as_text(path, name, header, delimiter):
            rows += batch.num_rows
            for column, cells in zip(columns, batch.columns, strict=True):
                column.add(cells)
        if quotes % 2:
            _explain_rows(path, name, header, delimiter)
    return CsvScan(path=path, name=name, delimiter=delimiter, rows=rows, columns=columns, guessed=False, quoted=True)


def _stream(scan: CsvScan) -> Iterator[pa.RecordBatch]:
    header = [column.name for column in scan.columns]
    with _whole_gzip(scan.name):
        for batch in _stream_as_text(scan.path, scan.name, header, scan.delimiter):
            columns = [column.convert(cells) for column, cells in zip(scan.columns, batch.columns, strict=True)]
            yield pa.record_batch(columns, names=header)


def _stream_checked(scan: CsvScan) -> Iterator[pa.RecordBatch]:
    """Yield the rows, each checked against the guess."""
    header = [column.name for column in scan.columns]
    with _whole_gzip(scan.name), _open_bytes(scan.path) as stream:
        counter = _QuoteCounter(stream)
        options = _options(header, scan.delimiter, quoted=scan.quoted)
        try:
            with arrow_csv.open_csv(pa.PythonFile(counter, mode="r"), **options) as reader:
                _check_names(reader.schema.names, header, scan.name)
                for batch in reader:
                    if counter.quotes and not scan.quoted:
                        raise GuessError
                    columns = [column.checked(cells) for column, cells in zip(scan.columns, batch.columns, strict=True)]
                    yield pa.record_batch(columns, names=header)
        except pa.ArrowInvalid as error:
            # Ragged rows, other encodings: the careful scan says where.
            raise GuessError from error
        if counter.quotes % 2:
            raise GuessError


class _QuoteCounter(io.RawIOBase):
    """A file that counts the quotes (") which are read from it."""

    def __init__(self, stream: gzip.GzipFile | io.BufferedReader) -> None:
        self._stream = stream
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self.quotes += block.count(b'"')
        return block


class _Cells:
    """Which types fit every cell of a column that was seen so far."""

    def __init__(self, name: str, *, decimal_comma: bool) -> None:
        self.name = name
        self._fits = {_INTEGER, _FRACTION, *_OTHER_TYPES}
        self._decimal_comma = decimal_comma
        self._empty = True
        self._leading_zero = False
        self._only_digits = True
        self._largest = 0.0

    def add(self, cells: pa.Array) -> None:
        if cells.null_count == len(cells):
            return
        self._empty = False
        trimmed = pc.ascii_trim_whitespace(cells)
        for kind in tuple(self._fits):
            converted = _cast(trimmed, kind)
            if converted is None:
                self._fits.discard(kind)
            elif kind == _FRACTION:
                self._largest = max(self._largest, pc.max(pc.abs(converted)).as_py())
        self._decimal_comma = self._decimal_comma and _all_match(trimmed, _DECIMAL_COMMA)
        if self._is_number:
            self._leading_zero = self._leading_zero or _any_match(trimmed, _LEADING_ZERO)
            self._only_digits = self._only_digits and _all_match(trimmed, _DIGITS)

    @property
    def _is_number(self) -> bool:
        return _FRACTION in self._fits or self._decimal_comma

    @property
    def kind(self) -> pa.DataType:
        """The first type that fits, as `_convert` chooses it."""
        if self._empty:
            return pa.null()
        if self._is_number:
            too_long = _INTEGER not in self._fits and self._largest >= _LONGEST_INTEGER
            if self._leading_zero or (too_long and self._only_digits):
                return pa.string()
            return _INTEGER if _INTEGER in self._fits else _FRACTION
        return next((kind for kind in _OTHER_TYPES if kind in self._fits), pa.string())

    def convert(self, cells: pa.Array) -> pa.Array:
        if pa.types.is_null(self.kind):
            return pa.nulls(len(cells))
        if pa.types.is_string(self.kind):
            return cells
        trimmed = pc.ascii_trim_whitespace(cells)
        if self._decimal_comma and _FRACTION not in self._fits:
            trimmed = pc.replace_substring(trimmed, ",", ".")
        return pc.cast(trimmed, self.kind)

    def checked(self, cells: pa.Array) -> pa.Array:
        """Return what `convert` does, after making sure that the cells leave the type as it is.

        Raises:
            GuessError: They do not.
        """
        if self._empty and cells.null_count < len(cells):
            raise GuessError
        if self._empty or not self._is_number or pa.types.is_string(self.kind):
            return self.convert(cells)
        commas = self._decimal_comma and _FRACTION not in self._fits
        if _has_leading_zero(cells) or (commas and not _all_match(cells, _DECIMAL_COMMA)):
            raise GuessError
        # Few files have spaces around numbers: without them, there is nothing to trim.
        converted = None if commas else _cast(cells, self.kind)
        if converted is not None:
            return converted
        if _has_leading_zero(pc.ascii_trim_whitespace(cells)):
            raise GuessError
        return self.convert(cells)


@contextmanager
def _whole_gzip(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name} is not a whole gzip file ({error}). Copy or compress it again.") from error


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


def _stream_as_text(
    path: Path, name: str, header: list[str], delimiter: str, *, block_bytes: int | None = None
) -> Generator[pa.RecordBatch]:
    try:
        with arrow_csv.open_csv(path, **_options(header, delimiter, block_bytes=block_bytes)) as reader:
            _check_names(reader.schema.names, header, name)
            yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        _explain_rows(path, name, header, delimiter)
        raise DataError(f"{name} cannot be read as CSV ({error}). Write it again.") from error


def _options(
    header: list[str], delimiter: str, *, block_bytes: int | None = None, quoted: bool = True
) -> dict[str, Any]:
    return {
        "read_options": arrow_csv.ReadOptions(block_size=block_bytes or _BLOCK_BYTES),
        "parse_options": arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=quoted),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), null_values=MISSING, strings_can_be_null=True
        ),
    }


def _check_names(found: list[str], header: list[str], name: str) -> None:
    if found != header:
        raise DataError(f"{name}: the first line cannot be split into column names: {header[:10]}. Simplify it.")


def _read_as_text(path: Path, name: str, header: list[str], delimiter: str) -> pa.Table:
    try:
        table = arrow_csv.read_csv(path, **_options(header, delimiter))
    except (pa.ArrowInvalid, OSError) as error:
        _explain_rows(path, name, header, delimiter)
        raise DataError(f"{name} cannot be read as CSV ({error}). Write it again.") from error
    _check_names(table.column_names, header, name)
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


def _has_leading_zero(texts: pa.Array) -> bool:
    """Say whether any text matches `_LEADING_ZERO`; looks at two or three bytes of each."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if len(texts) == 0 or offsets[0] == offsets[-1]:
        return False
    content = np.frombuffer(texts.buffers()[2], dtype=np.uint8)
    long = np.flatnonzero(np.diff(offsets) >= 2)
    starts, ends = offsets[:-1][long], offsets[1:][long]
    signed = np.isin(content[starts], (ord("+"), ord("-")))
    starts = starts + signed
    zero = (content[starts] == ord("0")) & (starts + 1 < ends)
    following = content[starts[zero] + 1]
    return bool(((following >= ord("0")) & (following <= ord("9"))).any())


def _any_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())


def _all_match(column: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())


def _open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
