"""Reads one CSV file into a table; a column's type comes from all of its cells, never from a sample."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ropewalk.data.csv_bytes import count_quotes, open_bytes, whole_gzip
from ropewalk.data.csv_cells import Cells, convert_column
from ropewalk.data.csv_header import read_header
from ropewalk.data.csv_text import explain_rows, read_as_text, stream_as_text
from ropewalk.data.csv_typed import joined, stream_checked, stream_converted

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
    with whole_gzip(name):
        quotes = count_quotes(path, name)
        header, delimiter = read_header(path, name)
        table = read_as_text(path, name, header, delimiter)
        if quotes % 2:
            explain_rows(path, name, header, delimiter)
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
            yield from stream_checked(self)
        else:
            yield from joined(stream_converted(self, texts))


def guess_csv(path: Path, *, name: str) -> CsvScan:
    """Return what the first 4 MB of the file tell: the types that `scan_csv` finds, unless later rows differ.

    Raises:
        DataError: As `read_csv` does, for the beginning of the file.
    """
    csv.field_size_limit(_LONGEST_CELL)
    with whole_gzip(name):
        header, delimiter = read_header(path, name)
        with open_bytes(path) as stream:
            quoted = b'"' in stream.read(_GUESS_BYTES)
        columns = tuple(Cells(column, decimal_comma=delimiter == ";") for column in header)
        batches = stream_as_text(path, name, header, delimiter, block_bytes=_GUESS_BYTES)
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
    with whole_gzip(name):
        quotes = count_quotes(path, name)
        header, delimiter = read_header(path, name)
        columns = tuple(Cells(column, decimal_comma=delimiter == ";") for column in header)
        rows = 0
        for batch in stream_as_text(path, name, header, delimiter):
            rows += batch.num_rows
            for column, cells in zip(columns, batch.columns, strict=True):
                column.add(cells)
        if quotes % 2:
            explain_rows(path, name, header, delimiter)
    return CsvScan(path=path, name=name, delimiter=delimiter, rows=rows, columns=columns, guessed=False, quoted=True)


def _stream(scan: CsvScan) -> Iterator[pa.RecordBatch]:
    header = [column.name for column in scan.columns]
    with whole_gzip(scan.name):
        for batch in stream_as_text(scan.path, scan.name, header, scan.delimiter):
            columns = [column.convert(cells) for column, cells in zip(scan.columns, batch.columns, strict=True)]
            yield pa.record_batch(columns, names=header)
