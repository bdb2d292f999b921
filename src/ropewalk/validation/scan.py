"""The one pass over a table: profiles, broken rules and repeated rows, a batch at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ropewalk.data.tables import TableStream
from ropewalk.fingerprints import FingerprintSet
from ropewalk.validation.chunk import Chunk, is_simple
from ropewalk.validation.profile import Profile, Profiler
from ropewalk.validation.repeats import Repeats
from ropewalk.validation.rules import Broken, Ledger, Rule

MOST_CELLS = 8_000_000
"""A table of up to so many cells is kept whole; of a larger one, rows spread evenly over it."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What one pass over a table found."""

    profiles: dict[str, Profile]
    broken: list[Broken]
    fingerprints: FingerprintSet | None
    """Of the rows; None when no two can be equal, or a column has a type that cannot be compared."""


def scan_table(table: TableStream, rules: Sequence[Rule] = (), *, most_cells: int = MOST_CELLS) -> Scan:
    """Return the profile of each column, the rules that are broken and the fingerprints of the rows.

    Args:
        table: The table.
        rules: What to check of every row.
        most_cells: Cells of which checks that compare columns, and pictures, may be made.

    Raises:
        DataError: A file is broken.
    """
    chosen = spread_rows(table.rows, max(most_cells // len(table.schema), 2))
    whole = len(chosen) == table.rows
    profilers = {field.name: Profiler(field.name, field.type, count_values=not whole) for field in table.schema}
    ledger = Ledger(rules, table)
    comparable = all(is_simple(field.type) for field in table.schema)
    repeats = Repeats(table, table.schema.names) if comparable else None
    first = 0
    for batch in table.coded_batches():
        from_, to = np.searchsorted(chosen, [first, first + batch.num_rows])
        places = chosen[from_:to] - first
        chunks = {
            name: Chunk(column, first_row=first + 1, repeats=profilers[name].repeats)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        for name, chunk in chunks.items():
            profilers[name].add(chunk, places)
        ledger.add(chunks)
        if repeats:
            repeats.add(list(chunks.values()))
        first += batch.num_rows
    profiles = {name: profiler.profile() for name, profiler in profilers.items()}
    pa.default_memory_pool().release_unused()
    fingerprints = repeats.fingerprints if repeats else None
    return Scan(profiles=profiles, broken=ledger.broken(), fingerprints=fingerprints)


def check_rules(table: TableStream, rules: Sequence[Rule]) -> list[Broken]:
    """Return the rules that are broken, and learn nothing else of the table.

    Raises:
        DataError: A file is broken.
    """
    ledger = Ledger(rules, table)
    ruled = {name for rule in rules for name in rule.columns}
    first = 1
    for batch in table.select([name for name in table.schema.names if name in ruled]).coded_batches():
        columns = zip(batch.schema.names, batch.columns, strict=True)
        ledger.add({name: Chunk(column, first_row=first) for name, column in columns})
        first += batch.num_rows
    return ledger.broken()


def spread_rows(rows: int, most: int) -> NDArray[np.int64]:
    """Return the ascending places of up to `most` rows: one, by a fixed seed, of each of `most` equal parts."""
    if rows <= most:
        return np.arange(rows, dtype=np.int64)
    parts = np.arange(most) + np.random.default_rng(0).random(most)
    places: NDArray[np.int64] = np.minimum((parts * (rows / most)).astype(np.int64), rows - 1)
    return places[np.diff(places, prepend=-1) > 0]
