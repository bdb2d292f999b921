"""A batch of one column, with what several checks ask of it computed once."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ropewalk.data.tables import plain

Test = Callable[[pa.Array], pa.BooleanArray]
"""Says of each value whether something holds."""

_PLAIN_NUMBERS = (pa.int64(), pa.float64())


class Chunk:
    """The cells of one column in one batch of rows."""

    def __init__(self, cells: pa.Array, *, first_row: int, repeats: bool = True) -> None:
        """Wrap `cells`.

        Args:
            cells: As a table's stream yields them: text possibly as a dictionary, and no NaN.
            first_row: Number of the first of them in the table, from 1.
            repeats: Whether texts are expected to occur often, so that it pays to look at each only once.
        """
        coded = pa.types.is_dictionary(cells.type)
        self._cells = cells
        self.first_row = first_row
        self.is_text = coded or is_text(cells.type)
        self.repeats = coded or (repeats and self.is_text)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self._cells)

    @property
    def nulls(self) -> int:
        """Number of cells without a value."""
        return int(self._cells.null_count)

    @cached_property
    def values(self) -> pa.Array:
        """The cells; of a dictionary, what they stand for."""
        return plain(self._cells)

    @cached_property
    def encoded(self) -> pa.DictionaryArray:
        """The cells as places in a dictionary of the values that differ, and possibly of some that do not occur."""
        return pc.dictionary_encode(self._cells)

    @cached_property
    def span(self) -> tuple[Any, Any]:
        """Lowest and highest value; None and None without values."""
        if len(self) and not self.nulls and self._cells.type in _PLAIN_NUMBERS:
            # Five times as fast as Arrow for fractions, because NaN needs no care.
            numbers = self._cells.to_numpy()
            return numbers.min().item(), numbers.max().item()
        found = pc.min_max(self.values)
        return found["min"].as_py(), found["max"].as_py()

    def where(self, test: Test) -> pa.BooleanArray | None:
        """Return a mask of the cells with a value for which `test` holds; None when there is none."""
        found = test(self.encoded.dictionary if self.repeats else self.values)
        if not pc.any(found).as_py():
            return None
        cells = found.take(self.encoded.indices) if self.repeats else found
        mask = cells.fill_null(fill_value=False)
        return mask if mask.true_count else None

    def taken(self, places: NDArray[np.int64]) -> pa.Array:
        """Return the values at some ascending places."""
        return self.values if len(places) == len(self) else plain(self._cells.take(pa.array(places)))

    def numbered(self, mask: pa.BooleanArray, most: int) -> list[tuple[int, Any]]:
        """Return (row number, value) of the first `most` cells of a mask."""
        places = np.flatnonzero(mask.to_numpy(zero_copy_only=False))[:most]
        return [(self.first_row + int(place), self._cells[int(place)].as_py()) for place in places]


def is_text(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds text."""
    return bool(pa.types.is_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_simple(kind: pa.DataType) -> bool:
    """Say whether cells of this type can be learned from: truth values, numbers, text, points in time."""
    return bool(pa.types.is_boolean(kind) or is_number(kind) or is_text(kind) or pa.types.is_timestamp(kind))
