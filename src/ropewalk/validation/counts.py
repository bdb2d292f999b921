"""How often each value of a column occurs, up to a number of values."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.data.tables import plain
from ropewalk.validation.chunk import Chunk

MOST_COUNTED = 10_000
"""Of a table too large to keep, values that differ are counted up to this number."""

_MOST_PENDING = 2**18


class Counts:
    """Counts values, a chunk at a time, and gives up when too many differ."""

    def __init__(self) -> None:
        """Start with no values."""
        self.gave_up = False
        self._parts: list[tuple[pa.Array, pa.Array]] = []
        self._pending = 0

    def add(self, chunk: Chunk) -> None:
        """Count the next values."""
        if self.gave_up:
            return
        found = pc.value_counts(chunk.encoded if chunk.repeats else chunk.values)
        self._keep(plain(found.field("values")), found.field("counts"))
        if self._pending > _MOST_PENDING:
            self._merge()

    def _keep(self, values: pa.Array, counts: pa.Array) -> None:
        # With a missing value there may be one more.
        self.gave_up = self.gave_up or len(values) - values.null_count > MOST_COUNTED
        self._parts = [] if self.gave_up else [*self._parts, (values, counts)]
        self._pending += len(values)

    def _merge(self) -> None:
        if len(self._parts) < 2:
            return
        values = pa.concat_arrays([part for part, _ in self._parts])
        counts = pa.concat_arrays([part for _, part in self._parts])
        encoded = pc.dictionary_encode(values.filter(values.is_valid()))
        weights = counts.filter(values.is_valid()).to_numpy()
        sums = np.bincount(encoded.indices.to_numpy(), weights=weights, minlength=len(encoded.dictionary))
        self._parts, self._pending = [], 0
        # Sums in floating point are exact up to 2**53 rows.
        self._keep(encoded.dictionary, pa.array(sums.astype(np.int64)))

    def result(self) -> dict[Any, int] | None:
        """Return the count of each value, in the order of first occurrence; None when too many differ."""
        self._merge()
        counted: dict[Any, int] = {}
        for values, counts in self._parts:
            for value, count in zip(values.to_pylist(), counts.to_pylist(), strict=True):
                if value is not None:
                    counted[value] = counted.get(value, 0) + count
        return None if self.gave_up or len(counted) > MOST_COUNTED else counted
