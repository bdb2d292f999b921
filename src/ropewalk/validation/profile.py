"""A column in numbers: how much is missing, how many values differ, where they lie."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ropewalk.validation.chunk import Chunk, is_number, is_simple, is_text
from ropewalk.validation.counts import MOST_COUNTED, Counts

_BINS = 12
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of one column. Counts, extent and mean are those of all rows."""

    name: str
    """The column's name."""
    type: pa.DataType
    """Arrow type."""
    rows: int
    """Number of cells, missing ones too."""
    nulls: int
    """Number of missing cells."""
    infinite: int = 0
    """Number of cells that hold plus or minus infinity."""
    low: Any = None
    """Lowest finite number or first point in time; None without one, and for other types."""
    high: Any = None
    """Highest finite number or last point in time."""
    mean: float | None = None
    """Mean of the finite numbers."""
    deviation: float | None = None
    """Standard deviation of the finite numbers (divided by their count)."""
    numbers: int = 0
    """Of a text column: cells that hold a number."""
    other_texts: tuple[tuple[int, str], ...] = ()
    """Of a text column: row number and text of the first cells that hold none."""
    counted: dict[Any, int] | None = field(default=None, repr=False)
    """How often each value occurs in all rows; None when it was not counted to the end."""
    values: pa.Array = field(repr=False)
    """Cells of rows spread evenly over the table; of a table that is small enough, all cells."""
    codes: NDArray[np.int32] = field(repr=False)
    """Each of `values` as its place in `dictionary`, -1 where it is missing; empty for a type that is not simple."""
    dictionary: pa.Array = field(repr=False)
    """The values that differ in `values`, in the order of first occurrence; empty for a type that is not simple."""

    @property
    def is_sampled(self) -> bool:
        """Whether `values` are fewer than the rows."""
        return len(self.values) < self.rows

    @property
    def filled(self) -> int:
        """Number of cells with a value."""
        return self.rows - self.nulls

    @property
    def distinct(self) -> int:
        """Number of values that differ, without missing; at least so many when they were not counted to the end."""
        if not self.is_sampled:
            return len(self.dictionary)
        return max(len(self.dictionary), MOST_COUNTED + 1) if self.counted is None else len(self.counted)

    @property
    def distinct_text(self) -> str:
        """`distinct` in words: "1,234" or "over 10,000"."""
        uncounted = self.is_sampled and self.counted is None
        return f"over {self.distinct - 1:,}" if uncounted else f"{self.distinct:,}"

    @property
    def all_differ(self) -> bool:
        """Whether no value occurs twice; of a sampled column, among its sample."""
        if self.is_sampled and self.counted is not None:
            return len(self.counted) == self.filled
        return len(self.dictionary) == int(len(self.values) - self.values.null_count)

    @property
    def is_simple(self) -> bool:
        """Whether the type is one that can be learned from: truth values, numbers, text, points in time."""
        return is_simple(self.type)

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers."""
        return is_number(self.type)

    @property
    def is_whole(self) -> bool:
        """Whether it holds whole numbers."""
        return bool(pa.types.is_integer(self.type))

    @cached_property
    def counts(self) -> dict[Any, int]:
        """How often each value occurs, in the order of first occurrence; empty when it was not counted to the end."""
        if self.is_sampled:
            return self.counted or {}
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.dictionary))
        return dict(zip(self.dictionary.to_pylist(), counts.tolist(), strict=True))

    @cached_property
    def finite(self) -> NDArray[np.float64]:
        """The finite numbers among `values`; empty for other types."""
        if not self.is_numeric:
            return np.empty(0)
        present = self.values.drop_null().cast(pa.float64(), safe=False)
        numbers: NDArray[np.float64] = present.to_numpy(zero_copy_only=False)
        are_finite = np.isfinite(numbers)
        return numbers if are_finite.all() else numbers[are_finite]

    def most_frequent(self, most: int) -> list[tuple[str, int]]:
        """Return up to `most` values with their counts, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda entry: -entry[1])
        return [(str(value), count) for value, count in ordered[:most]]

    def histogram(self) -> list[int]:
        """Return the counts of the finite numbers in bins of equal width; empty without numbers."""
        if len(self.finite) == 0:
            return []
        # Extreme numbers overflow the width of a bin; half of each does not.
        halves = self.finite / 2
        whole = pa.types.is_integer(self.type)
        bins = int(min(_BINS, self.finite.max() - self.finite.min() + 1)) if whole else _BINS
        return [int(count) for count in np.histogram(halves, bins=bins)[0]]


class Profiler:
    """Gathers a column's profile from its chunks, in memory that does not grow with their number."""

    def __init__(self, name: str, kind: pa.DataType, *, count_values: bool) -> None:
        """Start with no rows.

        Args:
            name: The column's name.
            kind: Its Arrow type.
            count_values: Whether to count how often each value occurs; needless where the sample holds all rows.
        """
        self._name = name
        self._type = kind
        self._rows = self._nulls = self._infinite = self._finite = self._numbers = 0
        self._low: Any = None
        self._high: Any = None
        self._mean = self._squares = 0.0
        self._others: list[tuple[int, str]] = []
        self._counts = Counts() if count_values and is_simple(kind) else None
        self._kept: list[pa.Array] = []

    @property
    def repeats(self) -> bool:
        """Whether values have occurred often so far."""
        return self._counts is None or not self._counts.gave_up

    def add(self, chunk: Chunk, places: NDArray[np.int64]) -> None:
        """Add the next cells, of which those at `places` join the sample."""
        self._rows += len(chunk)
        self._nulls += chunk.nulls
        self._kept.append(chunk.taken(places))
        if is_number(self._type):
            self._add_numbers(chunk)
        elif pa.types.is_timestamp(self._type):
            self._widen(*chunk.span)
        elif is_text(self._type):
            self._add_texts(chunk)
        if self._counts:
            self._counts.add(chunk)

    def _add_numbers(self, chunk: Chunk) -> None:
        values = chunk.values
        low, high = chunk.span
        if low is None:
            return
        if low == -np.inf or high == np.inf:
            finite = values.filter(pc.is_finite(values)).drop_null()
            self._infinite += len(values) - values.null_count - len(finite)
            values = finite
            low, high = Chunk(finite, first_row=0).span
        self._widen(low, high)
        added = len(values) - values.null_count
        if added == 0:
            return
        # Means and squared deviations of two parts joined: Chan, Golub and LeVeque, 1979.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.float64(pc.mean(values).as_py())
            squares = np.float64(pc.variance(values).as_py()) * added
            step, total = mean - self._mean, self._finite + added
            self._squares += squares + step * step * (self._finite * added / total)
            self._mean += step * added / total
        self._finite = total

    def _widen(self, low: Any, high: Any) -> None:
        if low is not None:
            self._low = low if self._low is None else min(self._low, low)
            self._high = high if self._high is None else max(self._high, high)

    def _add_texts(self, chunk: Chunk) -> None:
        filled = len(chunk) - chunk.nulls
        other = chunk.where(lambda texts: pc.invert(pc.match_substring_regex(texts, _NUMBER)))
        if other is None:
            self._numbers += filled
            return
        self._numbers += filled - other.true_count
        if len(self._others) < _EXAMPLES:
            self._others += chunk.numbered(other, _EXAMPLES - len(self._others))

    def profile(self) -> Profile:
        """Return the profile of what was added."""
        values = pa.concat_arrays(self._kept)
        # The parts would be held beside the whole.
        self._kept.clear()
        codes, dictionary = np.empty(0, np.int32), pa.array([])
        if is_simple(self._type):
            encoded = pc.dictionary_encode(values)
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            dictionary = encoded.dictionary
        return Profile(
            name=self._name,
            type=self._type,
            rows=self._rows,
            nulls=self._nulls,
            infinite=self._infinite,
            low=self._low,
            high=self._high,
            mean=float(self._mean) if self._finite else None,
            deviation=float(np.sqrt(self._squares / self._finite)) if self._finite else None,
            numbers=self._numbers,
            other_texts=tuple(self._others),
            counted=self._counts.result() if self._counts else None,
            values=values,
            codes=codes,
            dictionary=dictionary,
        )
