"""The first line of a CSV file: its column names, and what stands between its cells."""

import csv
from itertools import islice
from pathlib import Path

from ropewalk.data.csv_bytes import open_bytes
from ropewalk.errors import DataError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""What may stand between cells, and what a person calls it."""
_HEAD_BYTES = 2**20


def read_header(path: Path, name: str) -> tuple[list[str], str]:
    """Return the column names, and what stands between cells.

    Raises:
        DataError: The file is empty, or its columns lack names of their own.
    """
    with open_bytes(path) as stream:
        start = stream.read(_HEAD_BYTES).decode("utf-8-sig", errors="ignore")
    if not start.strip():
        raise DataError(f"{name} is empty: it has neither column names nor rows. Check how it was written.")
    lines = start.splitlines(keepends=True)
    records = {mark: _first_records(lines, mark) for mark in DELIMITERS}
    consistent = [mark for mark, rows in records.items() if len(rows[0]) > 1 and len(set(map(len, rows))) == 1]
    delimiter = consistent[0] if consistent else max(DELIMITERS, key=lambda mark: len(records[mark][0]))
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
