"""The cells of a CSV file as text, whole or a block at a time; says which row does not fit."""

import csv
import io
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from ropewalk.data.csv_bytes import open_bytes
from ropewalk.data.csv_header import DELIMITERS
from ropewalk.errors import DataError

MISSING = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"),
]
"""Cells that count as missing, in columns of every type."""

_BLOCK_BYTES = 16 * 2**20


def stream_as_text(
    path: Path, name: str, header: list[str], delimiter: str, *, block_bytes: int | None = None
) -> Generator[pa.RecordBatch]:
    """Yield the rows a block at a time, every column as text.

    Raises:
        DataError: They cannot be read; names the first row that does not fit.
    """
    try:
        with arrow_csv.open_csv(path, **as_text_options(header, delimiter, block_bytes=block_bytes)) as reader:
            check_names(reader.schema.names, header, name)
            yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        explain_rows(path, name, header, delimiter)
        raise DataError(f"{name} cannot be read as CSV ({error}). Write it again.") from error


def as_text_options(header: list[str], delimiter: str, *, block_bytes: int | None = None) -> dict[str, Any]:
    """Return how Arrow reads every column as text."""
    return {
        "read_options": arrow_csv.ReadOptions(block_size=block_bytes or _BLOCK_BYTES),
        "parse_options": arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": convert_options(dict.fromkeys(header, pa.string())),
    }


def convert_options(types: dict[str, pa.DataType]) -> arrow_csv.ConvertOptions:
    """Return how Arrow reads columns as `types`."""
    return arrow_csv.ConvertOptions(column_types=types, null_values=MISSING, strings_can_be_null=True)


def check_names(found: list[str], header: list[str], name: str) -> None:
    """Refuse a first line that Arrow splits in another way than we do.

    Raises:
        DataError: It does.
    """
    if found != header:
        raise DataError(f"{name}: the first line cannot be split into column names: {header[:10]}. Simplify it.")


def read_as_text(path: Path, name: str, header: list[str], delimiter: str) -> pa.Table:
    """Return the rows, every column as text.

    Raises:
        DataError: They cannot be read; names the first row that does not fit.
    """
    try:
        table = arrow_csv.read_csv(path, **as_text_options(header, delimiter))
    except (pa.ArrowInvalid, OSError) as error:
        explain_rows(path, name, header, delimiter)
        raise DataError(f"{name} cannot be read as CSV ({error}). Write it again.") from error
    check_names(table.column_names, header, name)
    return table


def explain_rows(path: Path, name: str, header: list[str], delimiter: str) -> None:
    """Raise the error that names the first row which does not fit the header; return when all fit."""
    separator = DELIMITERS[delimiter]
    row, line = 0, 1
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
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
