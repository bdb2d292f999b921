"""Infers a schema from a table, for a person to correct."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ropewalk.artifacts import MANIFEST, RAW_DATA, disk_errors, read_artifact
from ropewalk.data.beside import SCHEMA_ENDING
from ropewalk.data.tables import TableStream, open_files, open_table
from ropewalk.errors import ConfigError
from ropewalk.validation.chunk import is_number, is_text
from ropewalk.validation.columns import is_identifier
from ropewalk.validation.profile import Profile
from ropewalk.validation.scan import scan_table

_WIDEN = 0.1
_MOST_CATEGORIES = 20
_ROWS_PER_CATEGORY = 10

_HEAD = """\
# What {name} must look like: a pandera DataFrameSchema, inferred from {rows:,} rows: guesses, correct them.
# Keep it beside the table as <table>{ending}, or give it as validation.schema; every run then enforces it.
#
# Per column: dtype (int64, float64, bool, str, datetime64[us] or datetime64[us, UTC]; int64 fits float64),
# nullable (may be missing), unique (no value twice), required: false (the column may be absent), and checks:
#   equal_to, not_equal_to, greater_than, greater_than_or_equal_to, less_than, less_than_or_equal_to: 3
#   in_range: {{min_value: 0, max_value: 9, include_min: true, include_max: true}}
#   isin, notin: [red, green]
#   str_length: {{min_value: 1, max_value: 9}}      str_startswith, str_endswith: A
#   str_matches: '[A-Z]{{2}}[0-9]+$'  (from the start on)      str_contains: '[0-9]'  (RE2 patterns)
#   max_null_share: {{share: 0.05}}
# A check warns instead of refusing the table when it has raise_warning: true, as in
#   greater_than: {{min_value: 0, raise_warning: true}}
# For the table: strict: true (no other columns), unique: [store, day] (no combination twice), and checks of each row
# that compare two columns by <, <=, ==, !=, > or >= (missing values pass):
#   checks:
#   - {{left: start, op: <=, right: end, options: {{check_name: compare_columns}}}}
"""


def infer_schema(data: Path) -> str:
    """Return, as YAML with comments, a schema that the table at `data` meets.

    Types, missing values and uniqueness are as seen. Ranges of numbers are widened by a tenth of their width. Text of
    which few values occur, and each of them often, gets those as the only ones allowed.

    Args:
        data: A file, a folder of files with the same columns, or a raw-data artifact.

    Raises:
        ConfigError: There is nothing at `data`.
        DataError: It is no table, or a broken one.
    """
    table = _open(data)
    profiles = scan_table(table).profiles
    head = _HEAD.format(name=data.name, rows=table.rows, ending=SCHEMA_ENDING)
    return head + _as_yaml(profiles)


def write_schema(data: Path, output: Path) -> None:
    """Write the schema of the table at `data` to the new file `output`.

    Raises:
        ConfigError: There is nothing at `data`, or something at `output`.
        DataError: It is no table, or a broken one.
        StorageError: The disk is full.
    """
    if output.exists():
        raise ConfigError(f"{output} is there already: it may have been edited. Remove it, or name another --output.")
    text = infer_schema(data)
    with disk_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


def _open(data: Path) -> TableStream:
    if not data.exists():
        raise ConfigError(f"There is no file or folder {data.absolute()}. Name a table, or a folder of tables.")
    if (data / MANIFEST).is_file():
        read_artifact(data, RAW_DATA)
        return open_table(data)
    return open_files(data)


def _as_yaml(profiles: dict[str, Profile]) -> str:
    from pandera.pandas import Check, Column, DataFrameSchema

    columns = {}
    for name, column in profiles.items():
        checks = [getattr(Check, check)(*values) for check, values in _checks(column)]
        nullable = column.nulls > 0
        unique = is_text(column.type) and not nullable and not column.is_sampled and is_identifier(column)
        columns[name] = Column(_dtype(column.type), checks, nullable=nullable, unique=unique)
    text = str(DataFrameSchema(columns).to_yaml())
    # Pandera writes every text type as that of its storage, and every time in nanoseconds.
    return text.replace("dtype: string[pyarrow]", "dtype: str").replace("dtype: datetime64[ns", "dtype: datetime64[us")


def _dtype(kind: pa.DataType) -> str | None:
    if pa.types.is_timestamp(kind):
        return "datetime64[us, UTC]" if kind.tz else "datetime64[us]"
    if is_number(kind) or pa.types.is_boolean(kind):
        return "bool" if pa.types.is_boolean(kind) else str(kind).replace("double", "float64")
    return "str" if is_text(kind) else None


def _checks(column: Profile) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if column.is_numeric and column.low is not None and not column.infinite:
        yield "in_range", _widened(column.low, column.high)
    often = column.filled >= _ROWS_PER_CATEGORY * column.distinct
    if is_text(column.type) and 0 < column.distinct <= _MOST_CATEGORIES and often:
        yield "isin", (sorted(column.counts),)


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return a range a tenth wider on both sides that does not cross zero; for whole numbers, of whole numbers."""
    margin = _WIDEN * (high - low)
    wide_low, wide_high = low - margin, high + margin
    if low >= 0:
        wide_low = max(wide_low, 0)
    if high <= 0:
        wide_high = min(wide_high, 0)
    if isinstance(low, int):
        return math.floor(wide_low), math.ceil(wide_high)
    return float(f"{wide_low:.6g}") if margin else low, float(f"{wide_high:.6g}") if margin else high
