"""Checks of the columns: types that cannot be used, mixed types, columns that tell nothing or too much."""

from collections.abc import Iterator

import pyarrow as pa

from ropewalk.validation.findings import Finding, error, rows, warning
from ropewalk.validation.profile import Profile

_MOSTLY = 0.5
_IDENTIFIER_ROWS = 100


def check_columns(profiles: list[Profile], *, target: str, allow_mixed: tuple[str, ...]) -> Iterator[Finding]:
    """Yield what is wrong or odd with each column, the target too.

    Errors: a type that cannot be used; a text column in which most values, but not all, are numbers. Warnings on
    features: no value, one value, infinite numbers, text or a count that differs in every row.
    """
    for column in profiles:
        if not column.is_simple:
            yield _unusable(column)
            continue
        mixed = None if column.name in allow_mixed else _mixed(column)
        if mixed:
            yield mixed
            continue
        yield from _infinite(column)
        if column.name != target:
            yield from _tells_nothing(column)


def _unusable(column: Profile) -> Finding:
    return error(
        "type",
        column.name,
        f"the column {column.name!r} has the type {column.type}, which cannot be used. Turn it into numbers, text or "
        "timestamps, or remove it.",
    )


def _mixed(column: Profile) -> Finding | None:
    if not pa.types.is_string(column.type) or not _MOSTLY * column.filled <= column.numbers < column.filled:
        return None
    examples = ", ".join(f"{text!r} in row {row}" for row, text in column.other_texts)
    return error(
        "mixed types",
        column.name,
        f"the column {column.name!r} mixes numbers and text: of its {column.filled:,} values {column.numbers:,} are "
        f"numbers, the others are not, such as {examples} (row 1 follows the column names). Correct those, or leave "
        "them empty; if the column holds categories, name it in validation.allow_mixed.",
    )


def _infinite(column: Profile) -> Iterator[Finding]:
    if column.infinite:
        yield warning(
            "infinite",
            column.name,
            f"the column {column.name!r} holds infinity in {rows(column.infinite)}; there it counts as missing.",
        )


def _tells_nothing(column: Profile) -> Iterator[Finding]:
    if column.filled == 0:
        yield warning("empty", column.name, f"the column {column.name!r} has no value; it is left aside.")
    elif column.distinct == 1 and column.nulls == 0:
        only = column.most_frequent(1)[0][0]
        yield warning(
            "constant", column.name, f"the column {column.name!r} is {only!r} in every row; it is left aside."
        )
    elif is_identifier(column):
        yield warning(
            "identifier",
            column.name,
            f"the column {column.name!r} differs in every row, like an identifier: nothing can be learned from it that "
            "holds for new rows. Remove it, or name it in preprocess.ignore.",
        )


def is_identifier(column: Profile) -> bool:
    """Say whether the column is text that differs in every row, or counts the rows."""
    if column.filled < _IDENTIFIER_ROWS or not column.all_differ:
        return False
    if pa.types.is_string(column.type):
        return True
    return bool(pa.types.is_integer(column.type) and column.high - column.low == column.filled - 1)
