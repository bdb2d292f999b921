"""Finds rows that are equal in some columns; while a column only rises there are none, and nothing is kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ropewalk.data.tables import TableStream
from ropewalk.fingerprints import FingerprintSet, row_fingerprints
from ropewalk.validation.chunk import Chunk, is_number


class Repeats:
    """Looks at the rows of some columns, a batch at a time, and keeps fingerprints once rows may be equal."""

    def __init__(self, table: TableStream, columns: Sequence[str]) -> None:
        """Start with no rows of `columns`; the first rows of `table` are read again if those rise, and then no more."""
        self._table = table.select(columns)
        self._rows = 0
        self._rising: dict[int, Any] = dict.fromkeys(range(len(columns)))
        self.fingerprints: FingerprintSet | None = None
        """Of all rows; None as long as a column rises from row to row, so that no two are equal."""

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Look at the next rows, in the columns' order."""
        if self.fingerprints is None:
            self._rising = _still_rising(self._rising, chunks)
            if not self._rising:
                self.fingerprints = self._up_to_here()
        if self.fingerprints is not None:
            self.fingerprints.add(row_fingerprints(chunks))
        self._rows += len(chunks[0])

    def _up_to_here(self) -> FingerprintSet:
        earlier, left = FingerprintSet(), self._rows
        if left == 0:
            return earlier
        for batch in self._table.coded_batches():
            earlier.add(row_fingerprints([Chunk(column, first_row=1) for column in batch.slice(0, left).columns]))
            left -= min(batch.num_rows, left)
            if left == 0:
                break
        return earlier


def _still_rising(last: Mapping[int, Any], chunks: Sequence[Chunk]) -> dict[int, Any]:
    """Return, of the columns at the places in `last`, the last value of each that rises on from that value."""
    found = {place: _rise(chunks[place], before) for place, before in last.items()}
    return {place: highest for place, highest in found.items() if highest is not None}


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
