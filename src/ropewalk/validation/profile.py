"""A column in numbers: how much is missing, how many values differ, where they lie."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_BINS = 12


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of one column."""

    name: str
    """The column's name."""
    values: pa.Array = field(repr=False)
    """Its cells."""
    codes: NDArray[np.int64] = field(repr=False)
    """Each cell as its place in `dictionary`, -1 where it is missing; empty for a type that is not simple."""
    dictionary: pa.Array = field(repr=False)
    """The values that differ, in the order of first occurrence; empty for a type that is not simple."""

    @property
    def type(self) -> pa.DataType:
        """Arrow type."""
        return self.values.type

    @property
    def rows(self) -> int:
        """Number of cells, missing ones too."""
        return len(self.values)

    @property
    def nulls(self) -> int:
        """Number of missing cells."""
        return int(self.values.null_count)

    @property
    def distinct(self) -> int:
        """Number of values that differ, without missing."""
        return len(self.dictionary)

    @property
    def is_simple(self) -> bool:
        """Whether the type is one that can be learned from: truth values, numbers, text, points in time."""
        return is_simple(self.type)

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers."""
        return bool(pa.types.is_integer(self.type) or pa.types.is_floating(self.type))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each value of `dictionary` occurs."""
        return np.bincount(self.codes[self.codes >= 0], minlength=self.distinct)

    @cached_property
    def finite(self) -> NDArray[np.float64]:
        """The finite numbers; empty for other types."""
        if not self.is_numeric:
            return np.empty(0)
        present = self.values.drop_null().cast(pa.float64(), safe=False)
        numbers: NDArray[np.float64] = present.to_numpy(zero_copy_only=False)
        return numbers[np.isfinite(numbers)]

    @property
    def infinite(self) -> int:
        """Number of cells that hold plus or minus infinity."""
        return self.rows - self.nulls - len(self.finite) if self.is_numeric else 0

    def most_frequent(self, most: int) -> list[tuple[str, int]]:
        """Return up to `most` values with their counts, the most frequent first."""
        order = np.argsort(-self.counts, kind="stable")[:most]
        return [(str(self.dictionary[int(place)].as_py()), int(self.counts[place])) for place in order]

    def histogram(self) -> list[int]:
        """Return the counts of the finite numbers in bins of equal width; empty without numbers."""
        if len(self.finite) == 0:
            return []
        # Extreme numbers overflow the width of a bin; half of each does not.
        halves = self.finite / 2
        whole = pa.types.is_integer(self.type)
        bins = int(min(_BINS, self.finite.max() - self.finite.min() + 1)) if whole else _BINS
        return [int(count) for count in np.histogram(halves, bins=bins)[0]]

    def rows_of(self, places: NDArray[np.bool_], most: int) -> list[int]:
        """Return the numbers (from 1) of the first `most` rows whose value is one of `places` in the dictionary."""
        chosen = np.append(places, False)[self.codes]
        return [int(row) + 1 for row in np.flatnonzero(chosen)[:most]]


def profile(name: str, column: pa.ChunkedArray) -> Profile:
    """Return the profile of a column."""
    values = column.combine_chunks()
    if not is_simple(values.type):
        return Profile(name=name, values=values, codes=np.empty(0, np.int64), dictionary=pa.array([]))
    encoded = pc.dictionary_encode(values)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Profile(name=name, values=values, codes=codes, dictionary=encoded.dictionary)


def is_simple(kind: pa.DataType) -> bool:
    """Say whether cells of this type can be learned from."""
    checks = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string)
    return any(check(kind) for check in checks) or bool(pa.types.is_timestamp(kind))
