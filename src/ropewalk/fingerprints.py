"""64-bit fingerprints of cells and rows, and a set of them that finds repeats in bounded memory."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ropewalk.arrow_memory import filled, known_bits

Fingerprints = NDArray[np.uint64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
_HALF = np.uint64(32)
_MISSING = np.uint64(0xD1B54A32D192ED03)
_MOST = 2**24
_FEW = 2**19
"""Powers that are kept: 4 MB for each of the two bases."""


class Cells(Protocol):
    """One column of a batch."""

    def __len__(self) -> int: ...

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""

    @property
    def values(self) -> pa.Array:
        """The cells."""

    @property
    def encoded(self) -> pa.DictionaryArray:
        """The cells as places in a dictionary of the values that differ."""


def row_fingerprints(chunks: Sequence[Cells]) -> Fingerprints:
    """Return one number per row: rows that are equal in all `chunks` have equal numbers.

    Rows that differ hardly ever do: among a million, two collide once in 37 million tables.
    """
    cells = (chunk.encoded if chunk.is_text else chunk.values for chunk in chunks)
    return joined((cell_fingerprints(values) for values in cells), len(chunks[0]))


def joined(columns: Iterable[Fingerprints], rows: int) -> Fingerprints:
    """Return one number per row from the fingerprints of its cells, column by column."""
    whole = np.zeros(rows, dtype=np.uint64)
    high = np.empty_like(whole)
    for cells in columns:
        whole ^= cells
        whole *= _MULTIPLIER
        whole ^= np.right_shift(whole, _HALF, out=high)
    return whole


def cell_fingerprints(values: pa.Array) -> Fingerprints:
    """Return one number per cell; `values` are truth values, numbers, points in time, or text in a dictionary."""
    if pa.types.is_dictionary(values.type):
        return placed(text_fingerprints(values.dictionary), values.indices)
    bits = _bits(values)
    if values.null_count:
        bits[known_bits(values) == 0] = _MISSING
    return bits


def placed(texts: Fingerprints, indices: pa.Array) -> Fingerprints:
    """Return the fingerprint of each cell from those of the texts in its dictionary."""
    known: Fingerprints = np.append(texts, _MISSING)
    return np.asarray(known[filled(indices, len(texts))])


def _bits(values: pa.Array) -> Fingerprints:
    """Return a copy of the values' bits; of missing ones, any."""
    if pa.types.is_floating(values.type):
        numbers = values.cast(pa.float64())
        stored = np.frombuffer(numbers.buffers()[1] or b"", dtype=np.float64)
        # Adding zero makes -0.0, which equals 0.0, the same bits.
        return (stored[numbers.offset : numbers.offset + len(numbers)] + 0.0).view(np.uint64)
    whole = values.cast(pa.int64())
    stored_whole = np.frombuffer(whole.buffers()[1] or b"", dtype=np.uint64)
    return stored_whole[whole.offset : whole.offset + len(whole)].copy()


def mixed(prints: Fingerprints) -> Fingerprints:
    """Return `prints` with every bit depending on all bits: MurmurHash3's 64-bit finaliser (Appleby, public domain)."""
    prints = (prints ^ (prints >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    prints = (prints ^ (prints >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return prints ^ (prints >> np.uint64(33))


def text_fingerprints(values: pa.Array) -> Fingerprints:
    """Return a polynomial of the bytes of each text, modulo 2**64; `values` are strings without nulls."""
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    if len(values) == 0 or offsets[0] == offsets[-1]:
        return np.zeros(len(values), dtype=np.uint64)
    text = np.frombuffer(values.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
    starts = (offsets - offsets[0]).astype(np.int64)
    sums = np.zeros(len(text) + 1, dtype=np.uint64)
    np.cumsum((text + np.uint64(1)) * _powers(_MULTIPLIER, len(text)), out=sums[1:])
    lengths = np.diff(starts)
    # Dividing by the power of its first byte makes the sum independent of where the text stands.
    whole = (sums[starts[1:]] - sums[starts[:-1]]) * _powers(_INVERSE, len(text) + 1)[starts[:-1]]
    prints: Fingerprints = (whole ^ (lengths.astype(np.uint64) << _HALF)) * _MULTIPLIER
    return prints


def _powers(base: np.uint64, most: int) -> Fingerprints:
    return _first_powers(base)[:most] if most <= _FEW else _new_powers(base, most)


@cache
def _first_powers(base: np.uint64) -> Fingerprints:
    return _new_powers(base, _FEW)


def _new_powers(base: np.uint64, most: int) -> Fingerprints:
    powers = np.full(most, base)
    powers[0] = 1
    return np.multiply.accumulate(powers)


class FingerprintSet:
    """Fingerprints in the order of the rows; past 16 million it keeps a fixed share of the values.

    The share is chosen by the fingerprint itself, so that either all copies of a value are kept or none.
    """

    def __init__(self, most: int = _MOST) -> None:
        """Make an empty set that keeps up to `most` fingerprints."""
        self._most = most
        self._prints: list[Fingerprints] = []
        self._rows: list[NDArray[np.int64]] = []
        self._kept = 0
        self._seen = 0
        self.one_in = 1
        """1 when all rows were kept, 2 when half of the values were, and so on."""

    def add(self, prints: Fingerprints) -> None:
        """Add the next rows."""
        rows = np.arange(self._seen, self._seen + len(prints), dtype=np.int64)
        self._seen += len(prints)
        self._keep(prints, rows)
        while self._kept > self._most:
            self.one_in *= 2
            every, numbers = np.concatenate(self._prints), np.concatenate(self._rows)
            self._prints, self._rows, self._kept = [], [], 0
            self._keep(every, numbers)

    def _keep(self, prints: Fingerprints, rows: NDArray[np.int64]) -> None:
        if self.one_in > 1:
            # The high bits: the low ones of multiples of a power of two are alike.
            chosen = ((prints * _MULTIPLIER) >> np.uint64(40)) % np.uint64(self.one_in) == 0
            prints, rows = prints[chosen], rows[chosen]
        self._prints.append(prints)
        self._rows.append(rows)
        self._kept += len(prints)

    def repeats(self) -> int:
        """Return how many of the kept rows repeat an earlier one."""
        prints = np.sort(np.concatenate(self._prints))
        return int(np.count_nonzero(prints[1:] == prints[:-1]))

    def shared(self) -> NDArray[np.int64]:
        """Return the numbers (from 1, ascending) of the kept rows that share a fingerprint with another."""
        prints = np.concatenate(self._prints)
        ordered = np.sort(prints)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if len(twice) == 0:
            return np.empty(0, dtype=np.int64)
        places = np.minimum(np.searchsorted(twice, prints), len(twice) - 1)
        numbers: NDArray[np.int64] = np.concatenate(self._rows)[twice[places] == prints] + 1
        return numbers
