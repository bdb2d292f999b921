"""What is gathered of a column's training rows, a batch at a time, in memory that does not grow with their number."""

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ropewalk.arrow_memory import as_arrow, as_scalar, present, stored
from ropewalk.fingerprints import Fingerprints, cell_fingerprints, mixed, text_fingerprints
from ropewalk.preprocess.picking import pick_rows

_SKETCH = 2**14
_FEWEST_TO_SUM = 2**16
_LOSSY = 4
_PIECE_ROWS = 2**13

_Piece = tuple[pa.RecordBatch, Fingerprints]


class NumberStatistics:
    """Count, mean, deviation and extent of finite numbers."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = 0.0
        self.low, self.high = math.inf, -math.inf

    @classmethod
    def of(cls, numbers: pa.Array) -> "NumberStatistics":
        """Return the statistics of a float64 array without infinities; nulls are left out."""
        found = cls()
        values = present(numbers)
        found.count = len(values)
        if found.count:
            found.low, found.high = float(values.min()), float(values.max())
            with np.errstate(over="ignore", invalid="ignore"):
                found.mean = float(values.mean())
                found.squares = float(values.var()) * found.count
        return found

    def merge(self, other: "NumberStatistics") -> None:
        """Add what another part of the rows gave (Chan, Golub and LeVeque, 1979)."""
        if other.count == 0:
            return
        total = self.count + other.count
        with np.errstate(over="ignore", invalid="ignore"):
            step = np.float64(other.mean) - self.mean
            self.squares = float(self.squares + other.squares + step * step * (self.count * other.count / total))
            self.mean = float(self.mean + step * (other.count / total))
        self.count = total
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    @property
    def deviation(self) -> float:
        """Standard deviation (divided by the count), 0 or more; infinite where the squares leave float64's range."""
        return math.sqrt(self.squares / self.count) if self.count and self.squares >= 0 else math.inf


class DistinctCount:
    """About how many values differ: exact up to 16,384, then within some 2 %.

    Keeps the smallest fingerprints (Bar-Yossef et al., 2002): n values spread evenly over [0, 1) have their k-th
    smallest near k / n.
    """

    def __init__(self) -> None:
        self._kept: Fingerprints = np.empty(0, np.uint64)

    def add(self, prints: Fingerprints) -> None:
        """Add the mixed fingerprints of more values, repeated or not."""
        if self._is_full:
            prints = prints[prints < self._kept[-1]]
        if len(prints):
            self._kept = np.unique(np.concatenate([self._kept, prints]))[:_SKETCH]

    @property
    def _is_full(self) -> bool:
        return len(self._kept) == _SKETCH

    @property
    def count(self) -> int:
        """Number of values that differ."""
        return round((_SKETCH - 1) / (float(self._kept[-1]) / 2.0**64)) if self._is_full else len(self._kept)


class CategoryCounts:
    """How often each category occurs.

    Up to `most` categories the counts are exact. Above, either counting stops, or (`lossy`) the rarest are forgotten
    whenever more than four times `most` are known: then counts may be too low by up to `forgotten`, and every
    category with more rows than that is still there (lossy counting, Manku and Motwani, 2002).
    """

    def __init__(self, most: int, *, lossy: bool, forget: Callable[[pa.Array], None]) -> None:
        """Start with none; `forget` is called with the categories that are known whenever some are let go."""
        self._most = most
        self._lossy = lossy
        self._forget = forget
        self._values: list[pa.Array] = []
        self._counts: list[pa.Array] = []
        self._pending = self._known = 0
        self._dictionary: pa.Array | None = None
        self._places: NDArray[np.int64] = np.empty(0, np.int64)
        self.stopped = False
        """Whether there were more than `most` categories and counting stopped."""
        self.forgotten = 0
        """Most rows that any category's count may be too low by."""

    def add(self, categories: pa.Array) -> None:
        """Add more rows: text in a dictionary, or float64; nulls are left out."""
        if self.stopped:
            return
        if pa.types.is_dictionary(categories.type):
            # Batches of one row group share their dictionary: its places are counted, and looked up once.
            if self._dictionary is None or not categories.dictionary.equals(self._dictionary):
                self._look_up()
                self._dictionary = categories.dictionary
                self._places = np.zeros(len(categories.dictionary), np.int64)
            self._places += np.bincount(present(categories.indices), minlength=len(self._places))
        else:
            found = pc.value_counts(categories.drop_null())
            self._append(found.field("values"), found.field("counts"))

    def _look_up(self) -> None:
        if self._dictionary is not None:
            seen, dictionary = np.flatnonzero(self._places), self._dictionary
            self._dictionary = None
            self._append(dictionary.take(as_arrow(seen)), as_arrow(self._places[seen]))

    def _append(self, values: pa.Array, counts: pa.Array) -> None:
        if self.stopped:
            self._forget(values)
        if self.stopped or len(values) == 0:
            return
        self._values.append(values)
        self._counts.append(counts.cast(pa.int64()))
        self._pending += len(values)
        if not self._lossy and len(values) > self._most:
            self._stop()
        elif self._pending > max(2 * self._known, _FEWEST_TO_SUM):
            self._sum()

    def _sum(self) -> None:
        if self._pending == self._known:
            return
        # Arrow's group_by would import its data set module, and pandas with it.
        pending = pa.concat_arrays(self._values).dictionary_encode()
        sums = np.bincount(stored(pending.indices), weights=stored(pa.concat_arrays(self._counts)))
        known = pa.table([pending.dictionary, as_arrow(sums.astype(np.int64))], names=["value", "count"])
        self._values, self._counts = known["value"].chunks, known["count"].chunks
        self._pending = self._known = known.num_rows
        if not self._lossy and known.num_rows > self._most:
            self._stop()
        elif self._lossy and known.num_rows > _LOSSY * self._most:
            self._drop_rarest(known)

    def _stop(self) -> None:
        for values in self._values:
            self._forget(values)
        self._values, self._counts, self.stopped = [], [], True
        self._pending = self._known = 0

    def _drop_rarest(self, known: pa.Table) -> None:
        for values in self._values:
            self._forget(values)
        ordered = _most_frequent_first(known)
        kept = ordered.slice(0, _LOSSY * self._most // 2)
        self.forgotten += ordered["count"][kept.num_rows].as_py()
        self._values, self._counts = kept["value"].chunks, kept["count"].chunks
        self._pending = self._known = kept.num_rows

    @property
    def distinct(self) -> int:
        """Number of categories that are known; 0 when counting stopped."""
        self._look_up()
        self._sum()
        return sum(map(len, self._values))

    def most_frequent(self, *, at_least: int) -> list[str | float]:
        """Return up to `most` categories of `at_least` rows, the most frequent first; ties go by name."""
        self._look_up()
        self._sum()
        if not self._values:
            return []
        known = pa.table([pa.chunked_array(self._values), pa.chunked_array(self._counts)], names=["value", "count"])
        ordered = _most_frequent_first(known.filter(pc.greater_equal(known["count"], as_scalar(at_least))))
        return list(ordered["value"].slice(0, self._most).to_pylist())


def _most_frequent_first(known: pa.Table) -> pa.Table:
    # Ties in frequency are broken by name, so that the same rows in another order give the same vocabulary.
    return known.sort_by([("count", "descending"), ("value", "ascending")])


class RowSample:
    """Whole rows, each kept with the same chance by a hash of its place: all of them up to `most`, then half and so on.

    The same rows in the same order give the same sample.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen = 0
        self._pieces: list[_Piece] = []
        self._small: list[_Piece] = []
        self._below = 2**64

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        places = np.arange(self._seen, self._seen + batch.num_rows, dtype=np.uint64)
        self._seen += batch.num_rows
        self._keep(batch, mixed(places))
        while sum(len(hashes) for _, hashes in (*self._pieces, *self._small)) > self._most:
            self._below //= 2
            pieces = [*self._pieces, *self._small]
            self._pieces, self._small = [], []
            pieces.reverse()
            while pieces:
                # Each is let go of as soon as its half is there.
                self._keep(*pieces.pop())

    def _keep(self, batch: pa.RecordBatch, hashes: Fingerprints) -> None:
        if self._below < 2**64:
            places: NDArray[np.int64] = np.flatnonzero(hashes < np.uint64(self._below))
            batch, hashes = _without_dictionaries(pick_rows(batch, places)), hashes[places]
        self._small.append((batch, hashes))
        if sum(len(hashes) for _, hashes in self._small) >= _PIECE_ROWS:
            self._join()

    def _join(self) -> None:
        """Make one piece of the small ones: many of a few rows each leave memory in holes that nothing else fits."""
        batch = self._small[0][0]
        if len(self._small) > 1:
            batch = pa.concat_batches([_without_dictionaries(each) for each, _ in self._small])
        self._pieces.append((batch, np.concatenate([hashes for _, hashes in self._small])))
        self._small = []

    @property
    def is_whole(self) -> bool:
        """Whether every row was kept."""
        return self._below == 2**64

    def column(self, name: str) -> list[pa.Array]:
        """Return the kept cells of one column."""
        return [batch.column(name) for batch, _ in (*self._pieces, *self._small)]


def _without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a few rows with their texts alone: the dictionary of a whole row group is larger than they are."""
    columns = [cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells for cells in batch.columns]
    return pa.record_batch(columns, names=batch.schema.names)


def distinct_prints(values: pa.Array) -> Fingerprints:
    """Return the mixed fingerprints of the values that occur in a column, for `DistinctCount`."""
    if pa.types.is_string(values.type):
        values = values.dictionary_encode()
    if not pa.types.is_dictionary(values.type):
        return mixed(cell_fingerprints(values.drop_null()))
    seen = np.bincount(present(values.indices), minlength=len(values.dictionary)) > 0
    return mixed(text_fingerprints(values.dictionary)[seen])
