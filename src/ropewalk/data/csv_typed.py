"""The rows of a CSV file by guessed types: read as those, and given up at the first row that does not fit."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as arrow_csv

from ropewalk.data.csv_bytes import QuoteCounter, open_bytes, whole_gzip
from ropewalk.data.csv_cells import Cells
from ropewalk.data.csv_lines import leading_zero_columns, whole_lines
from ropewalk.data.csv_text import as_text_options, check_names, convert_options
from ropewalk.data.guess import GuessError

if TYPE_CHECKING:
    from ropewalk.data.csv_files import CsvScan

_LINES_BYTES = 2 * 2**20
_JOINED_ROWS, _JOINED_BYTES = 2**16, 32 * 2**20
_AHEAD_BYTES = 2 * 2**20
"""Arrow reads up to 32 blocks ahead of who takes them."""


def stream_checked(scan: CsvScan) -> Iterator[pa.RecordBatch]:
    """Yield the rows, read as text and each checked against the guess."""
    header = [column.name for column in scan.columns]
    with whole_gzip(scan.name), open_bytes(scan.path) as stream:
        counter = QuoteCounter(stream)
        options = as_text_options(header, scan.delimiter, block_bytes=_AHEAD_BYTES)
        try:
            with arrow_csv.open_csv(pa.PythonFile(counter, mode="r"), **options) as reader:
                check_names(reader.schema.names, header, scan.name)
                for batch in reader:
                    columns = [column.checked(cells) for column, cells in zip(scan.columns, batch.columns, strict=True)]
                    yield pa.record_batch(columns, names=header)
        except pa.ArrowInvalid as error:
            # Ragged rows, other encodings: the careful scan says where.
            raise GuessError from error
        if counter.quotes % 2:
            raise GuessError


def stream_converted(scan: CsvScan, texts: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file without quotes, converted as they are parsed; leading zeros are looked for before."""
    header = [column.name for column in scan.columns]
    types = {column.name: _type_read(column, coded=column.name in texts) for column in scan.columns}
    numbers = {place for place, column in enumerate(scan.columns) if column.is_stored_number}
    with whole_gzip(scan.name), open_bytes(scan.path) as stream:
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


def joined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
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
        convert_options=convert_options(types),
    )
    check_names(table.column_names, list(types), scan.name)
    # One block of bytes becomes one chunk of each column, or none where all lines are empty.
    return pa.record_batch([column.combine_chunks() for column in table.columns], names=table.column_names)
