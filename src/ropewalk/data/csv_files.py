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

import pyarrow as pa
import pyarrow.csv as arrow_csv

from ropewalk.data.csv_cells import Cells, convert_column
from ropewalk.data.csv_lines import leading_zero_columns, whole_lines
from ropewalk.data.guess import GuessError
from ropewalk.errors import DataError

MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"),
]
"""Cells that count as missing, in columns of every type."""

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BLOCK_BYTES = 16 * 2**20
_LINES_BYTES = 2 * 2**20
_JOINED_ROWS, _JOINED_BYTES = 2**16, 32 * 2**20
_AHEAD_BYTES = 2 * 2**20
"""Arrow reads up to 32 blocks ahead of who takes them."""
_HEAD_BYTES = 2**20
_GUESS_BYTES = 4 * 2**20
_GZIP_RATIO = 4
_LONGEST_CELL = 2**27


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
    columns = [convert_column(column, decimal_comma=delimiter == ";") for column in table.columns]
    return pa.table(columns, names=header)


@dataclass(frozen=True, kw_only=True)
class CsvScan:
    """What a first look at a CSV file found."""

    path: Path
    name: str
    delimiter: str
    rows: int
    """Rows, without the line of column names; after `guess_csv`, an estimate."""
    columns: tuple[Cells, ...] = field(repr=False)
    guessed: bool
    """Whether the types come from the beginning of the file alone."""
    quoted: bool
    """Whether cells may be between quotes."""

    @property
    def schema(self) -> pa.Schema:
        """The columns with the types that `read_csv` gives them."""
        return pa.schema({column.name: column.kind for column in self.columns})

    def batches(self, columns: Sequence[str] = (), texts: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the file, a block at a time, as `read_csv` would return them.

        All columns are there, whatever `columns` says; text columns in `texts` may be places in a dictionary.

        Raises:
            GuessError: A row does not fit the guessed types.
            DataError: The file has changed since it was scanned.
        """
        if not self.guessed:
            yield from _stream(self)
        elif self.quoted:
            yield from _stream_checked(self)
        else:
            yield from _joined(_stream_converted(self, texts))


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
        columns = tuple(Cells(column, decimal_comma=delimiter == ";") for column in header)
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
        columns = tuple(Cells(column, decimal_comma=delimiter == ";") for column in header)
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
    """Yield the rows, read as text and each checked against the guess."""
    header = [column.name for column in scan.columns]
    with _whole_gzip(scan.name), _open_bytes(scan.path) as stream:
        counter = _QuoteCounter(stream)
        options = _options(header, scan.delimiter, block_bytes=_AHEAD_BYTES)
        try:
            with arrow_csv.open_csv(pa.PythonFile(counter, mode="r"), **options) as reader:
                _check_names(reader.schema.names, header, scan.name)
                for batch in reader:
                    columns = [column.checked(cells) for column, cells in zip(scan.columns, batch.columns, strict=True)]
                    yield pa.record_batch(columns, names=header)
        except pa.ArrowInvalid as error:
            # Ragged rows, other encodings: the careful scan says where.
            raise GuessError from error
        if counter.quotes % 2:
            raise GuessError


def _stream_converted(scan: CsvScan, texts: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file without quotes, converted as they are parsed; leading zeros are looked for before."""
    header = [column.name for column in scan.columns]
    types = {column.name: _type_read(column, coded=column.name in texts) for column in scan.columns}
    numbers = {place for place, column in enumerate(scan.columns) if column.is_stored_number}
    with _whole_gzip(scan.name), _open_bytes(scan.path) as stream:
        for number, lines in enumerate(whole_lines(stream, _LINES_BYTES)):
            if b'"' in lines or (number and lines.startswith(codecs.BOM_UTF8)):
                raise GuessError
            if numbers & leading_zero_columns(lines, scan.delimiter):
                raise GuessError
            try:
                rows = _read_lines(lines, scan, types, names=header if number else None)
            except pa.ArrowInvalid as error:
                # Cells of other types, ragged rows, other encodings: the careful scan says where.
                raise GuessError from error
            yield rows


def _read_lines(
    lines: bytes, scan: CsvScan, types: dict[str, pa.DataType], *, names: list[str] | None
) -> pa.RecordBatch:
    """Return the rows of whole lines; without `names`, the first line has them."""
    try:
        rows = _parse_lines(lines, scan, types, names)
        plain = [column.is_plain for column in scan.columns]
    except pa.ArrowInvalid:
        # Arrow is stricter with blanks and capitals than we are.
        rows = _parse_lines(lines, scan, dict.fromkeys(types, pa.string()), names)
        plain = [False] * len(scan.columns)
    columns = [
        cells if as_it_is else column.checked(cells)
        for column, cells, as_it_is in zip(scan.columns, rows.columns, plain, strict=True)
    ]
    coded = [
        cells.dictionary_encode() if pa.types.is_dictionary(kind) and pa.types.is_string(cells.type) else cells
        for cells, kind in zip(columns, types.values(), strict=True)
    ]
    return pa.record_batch(coded, names=list(types))


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in fewer batches: parsing is quickest in small blocks, and what follows in large ones."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if waiting and (rows > _JOINED_ROWS or size > _JOINED_BYTES):
            yield from _as_one(waiting)
            waiting, rows, size = [], batch.num_rows, batch.nbytes
        waiting.append(batch)
    if waiting:
        yield from _as_one(waiting)


def _as_one(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    return list(pa.Table.from_batches(batches).combine_chunks().to_batches())


def _type_read(column: Cells, *, coded: bool) -> pa.DataType:
    if not column.is_plain:
        return pa.string()
    return pa.dictionary(pa.int32(), pa.string()) if coded and pa.types.is_string(column.kind) else column.kind


def _parse_lines(lines: bytes, scan: CsvScan, types: dict[str, pa.DataType], names: list[str] | None) -> pa.RecordBatch:
    table = arrow_csv.read_csv(
        pa.BufferReader(lines),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(lines), column_names=names),
        parse_options=arrow_csv.ParseOptions(delimiter=scan.delimiter),
        convert_options=_convert_options(types),
    )
    _check_names(table.column_names, list(types), scan.name)
    # One block of bytes becomes one chunk of each column, or none where all lines are empty.
    return pa.record_batch([column.combine_chunks() for column in table.columns], names=table.column_names)


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


def _options(header: list[str], delimiter: str, *, block_bytes: int | None = None) -> dict[str, Any]:
    return {
        "read_options": arrow_csv.ReadOptions(block_size=block_bytes or _BLOCK_BYTES),
        "parse_options": arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": _convert_options(dict.fromkeys(header, pa.string())),
    }


def _convert_options(types: dict[str, pa.DataType]) -> arrow_csv.ConvertOptions:
    return arrow_csv.ConvertOptions(column_types=types, null_values=MISSING, strings_can_be_null=True)


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


def _open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
