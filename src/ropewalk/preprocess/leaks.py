"""Leaks: what would make scores on held-out rows flatter the model."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ropewalk.arrow_memory import filled
from ropewalk.errors import DataError
from ropewalk.fingerprints import Fingerprints, mixed
from ropewalk.preprocess.assignment import NAMES, Assigned
from ropewalk.preprocess.columns import as_names, plain
from ropewalk.preprocess.statistics import RowSample
from ropewalk.progress import say

_MOST_KEPT = 2**20
_FEW_ROWS = 30
_FIRST_LOOK = 2**12


class SharedPrints:
    """Finds rows, or keys, that are in two splits.

    Keeps up to 1,048,576 fingerprints; of a table with more, those of a fixed share of the values, chosen by the
    fingerprint itself, so that all copies of a value are kept or none.
    """

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._kept: list[Fingerprints] = [np.empty(0, np.uint64) for _ in NAMES]
        self._waiting: list[tuple[Fingerprints, Assigned]] = []
        self._waiting_rows = 0
        self.one_in = 1
        """1 when all values were kept, 2 when half of them were, and so on."""

    def add(self, prints: Fingerprints, assigned: Assigned) -> None:
        """Add rows with their splits."""
        chosen = self._chosen(prints)
        self._waiting.append((prints[chosen], assigned[chosen]))
        self._waiting_rows += int(chosen.sum())
        if self._waiting_rows > self._most // 2:
            self._sum()

    def _chosen(self, prints: Fingerprints) -> NDArray[np.bool_]:
        if self.one_in == 1:
            return np.ones(len(prints), dtype=bool)
        return mixed(prints) < np.uint64(2**64 // self.one_in)

    def _sum(self) -> None:
        for index, kept in enumerate(self._kept):
            added = [prints[assigned == index] for prints, assigned in self._waiting]
            self._kept[index] = np.unique(np.concatenate([kept, *added]))
        self._waiting, self._waiting_rows = [], 0
        while sum(map(len, self._kept)) > self._most:
            self.one_in *= 2
            self._kept = [kept[self._chosen(kept)] for kept in self._kept]

    def shared(self) -> list[tuple[str, str, int]]:
        """Return (split, other split, about how many different values are in both), without those of none."""
        self._sum()
        pairs = [
            (NAMES[one], NAMES[other], len(np.intersect1d(self._kept[one], self._kept[other], assume_unique=True)))
            for one, other in combinations(range(len(NAMES)), 2)
        ]
        return [(one, other, count * self.one_in) for one, other, count in pairs if count]


def target_copies(sample: RowSample, target: str, names: Sequence[str]) -> list[str]:
    """Return those of the columns `names` whose values go one to one with the target's.

    For 30 rows or more that have both; a target with more than half as many values as rows (such as a measured
    number) must be equal to the column. Whatever the encoding, such a column is the target under another name.
    """
    truth = _codes(sample.column(target))
    return [name for name in names if _is_copy(sample, name, target, truth)]


def _is_copy(sample: RowSample, name: str, target: str, truth: NDArray[np.int64]) -> bool:
    first = _codes(sample.column(name)[:1])[:_FIRST_LOOK]
    if not _one_to_one(first, truth[: len(first)]):
        return False
    codes = _codes(sample.column(name))
    both = (codes >= 0) & (truth >= 0)
    if both.sum() < _FEW_ROWS or not _one_to_one(codes, truth):
        return False
    values = len(np.unique(truth[both]))
    if values <= both.sum() / 2:
        return values > 1
    return _are_equal(sample.column(name), sample.column(target))


def _are_equal(cells: list[pa.Array], target: list[pa.Array]) -> bool:
    return all(as_names(plain(one)).equals(as_names(plain(other))) for one, other in zip(cells, target, strict=True))


def _codes(cells: list[pa.Array]) -> NDArray[np.int64]:
    """Return each cell as a number for its value, -1 where it is missing."""
    encoded = pa.chunked_array([plain(cell) for cell in cells]).combine_chunks().dictionary_encode()
    return filled(encoded.indices, -1).astype(np.int64)


def _one_to_one(codes: NDArray[np.int64], truth: NDArray[np.int64]) -> bool:
    both = (codes >= 0) & (truth >= 0)
    pairs = np.unique(np.stack([codes[both], truth[both]], axis=1), axis=0)
    return len(np.unique(pairs[:, 0])) == len(pairs) == len(np.unique(pairs[:, 1]))


def report(setting: str, answer: str, message: str) -> None:
    """Warn of a leak, or refuse to go on.

    Args:
        setting: Name of the setting that decides.
        answer: Its value, "warn" or "fail".
        message: What was found and what to do.

    Raises:
        DataError: The answer is "fail".
    """
    if answer == "fail":
        raise DataError(f"{message} (preprocess.{setting} is 'fail'; 'warn' goes on.)")
    say(f"warning: {message}")
