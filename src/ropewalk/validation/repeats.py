"""Finds rows that are equal in some columns; where a column only rises there are none, and nothing is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ropewalk.data.tables import TableStream
from ropewalk.validation.chunk import Chunk, is_number
from ropewalk.validation.fingerprints import FingerprintSet, row_fingerprints


class Repeats:
    """Looks at the rows of some columns, a batch at a time, for fingerprints of those that may be equal."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Start with no rows of `columns`."""
        self._columns = tuple(columns)
        self._rising: dict[int, Any] | None = None
        self._prints: FingerprintSet | None = None

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Look at the next rows, in the columns' order."""
        if self._prints is not None:
            self._prints.add(row_fingerprints(chunks))
        elif self._rising is None:
            self._rising = _still_rising(dict.fromkeys(range(len(chunks))), chunks)
            if not self._rising:
                self._prints = FingerprintSet()
                self._prints.add(row_fingerprints(chunks))
        else:
            self._rising = _still_rising(self._rising, chunks)

    def fingerprints(self, table: TableStream) -> FingerprintSet | None:
        """Return those of all rows, or None when a column rises from row to row, so that no two are equal.

        `table` is read again in the rare case that the columns rose at first, and then no longer.
        """
        if self._prints is None and not self._rising:
            self._prints = FingerprintSet()
            for batch in table.select(self._columns).coded_batches():
                chunks = [Chunk(batch.column(name), first_row=1) for name in self._columns]
                self._prints.add(row_fingerprints(chunks))
        return self._prints


def _still_rising(last: Mapping[int, Any], chunks: Sequence[Chunk]) -> dict[int, Any]:
    """Return, of the columns at the places in `last`, the last value of each that rises on from that value."""
    found = {}
    for place, before in last.items():
        highest = _rise(chunks[place], before)
        if highest is not None:
            found[place] = highest
    return found


def _rise(chunk: Chunk, before: Any) -> Any:
    """Return the last value if each is above the one ahead of it, the first above `before` (None: any); else None."""
    if chunk.is_text or chunk.nulls:
        return None
    kind = chunk.values.type
    if not (is_number(kind) or pa.types.is_timestamp(kind)):
        return None
    values = chunk.values.to_numpy()
    rises = bool(np.all(values[1:] > values[:-1])) and (before is None or values[0] > before)
    return values[-1] if rises else None
