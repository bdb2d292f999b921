"""The table of columns and roles that a person sees."""

from collections.abc import Sequence

from ropewalk.preprocess.columns import UNUSED, Column
from ropewalk.preprocess.config import TEXT
from ropewalk.progress import say

_HEADS = ("column", "type", "role", "missing", "read as", "because")


def show_roles(columns: Sequence[Column]) -> None:
    """Say which role each column has and why, and warn of free text."""
    rows = [_HEADS]
    for column in columns:
        missing = "" if column.role in UNUSED else f"{column.missing:.1%}"
        rows.append((column.name, column.type, column.role, missing, _read_as(column), column.reason))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for column in columns:
        if column.role == TEXT:
            say(
                f"warning: {column.name!r} {column.reason} and is left aside. Turn it into numbers or categories by "
                "preprocess.function, or give it another role in preprocess.roles."
            )


def _read_as(column: Column) -> str:
    if column.role in UNUSED:
        return "set aside"
    found = [f"{len(column.numbers)} number{'s' if len(column.numbers) > 1 else ''}"] if column.numbers else []
    if column.vocabulary is not None:
        found.append(f"{len(column.vocabulary):,} categories")
    if any(number.vocabulary for number in column.numbers):
        found.append(f"{sum(len(number.vocabulary) for number in column.numbers):,} categories")
    if column.buckets is not None:
        found.append(f"{column.buckets:,} buckets")
    return ", ".join(found)
