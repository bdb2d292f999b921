"""Assignment: which split each row falls into; a rule looks at one batch at a time."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ropewalk.errors import DataError
from ropewalk.fingerprints import Fingerprints, cell_fingerprints, joined, mixed, placed, text_fingerprints
from ropewalk.preprocess.columns import plain
from ropewalk.preprocess.config import PreprocessConfig

NAMES = ("train", "validation", "test")

Assigned = NDArray[np.int8]
"""Each row's index in NAMES."""


class Rule(Protocol):
    """Says which split rows fall into."""

    def assign(self, rows: pa.RecordBatch) -> Assigned:
        """Return each row's index in NAMES."""

    @property
    def advice(self) -> str:
        """What to change when a split is left empty."""


class ByHash:
    """By a hash of the row's values in some columns, so that no row moves when others are added or reordered.

    Numbers are hashed as float64 and columns in the order of their names, so that a column of whole numbers may later
    meet fractions, and columns may be swapped, without moving a row.
    """

    def __init__(self, columns: Iterable[str], config: PreprocessConfig) -> None:
        self._prints = RowPrints(columns)
        self._test_from = 1 - config.test_fraction
        self._validation_from = self._test_from - config.validation_fraction
        self.advice = "too few different rows; use more data, or larger validation_fraction and test_fraction."

    def assign(self, rows: pa.RecordBatch) -> Assigned:
        """Return each row's index in NAMES."""
        shares = mixed(self._prints.of(rows)) / 2.0**64
        return _index(shares >= self._validation_from, shares >= self._test_from)


class ByColumn:
    """By a column that names the split."""

    def __init__(self, column: str) -> None:
        self._column = column
        self.advice = f"the column {column!r} must name each of {', '.join(NAMES)}."

    def assign(self, rows: pa.RecordBatch) -> Assigned:
        """Return each row's index in NAMES.

        Raises:
            DataError: The column holds something else.
        """
        named = plain(rows.column(self._column))
        places = pc.index_in(named.cast(pa.string()), value_set=pa.array(NAMES))
        if places.null_count:
            other = named.filter(places.is_null())[0].as_py()
            raise DataError(
                f"The split column {self._column!r} holds {other!r}: every row needs one of {', '.join(NAMES)}."
            )
        return np.asarray(places.to_numpy(), dtype=np.int8)


class ByTime:
    """By a point in time, oldest rows for training: training never sees what comes later."""

    def __init__(self, column: str, times: pa.ChunkedArray, config: PreprocessConfig) -> None:
        """Find the moments at which validation and test begin.

        Rows of one moment stay together, so shares are met up to the size of one moment.

        Args:
            column: Where the time is.
            times: All times: numbers, dates, timestamps or sortable text such as ISO 8601, without nulls.
            config: The shares.
        """
        self._column = column
        self.advice = f"too few different values in {column!r}; choose another time_column, or other fractions."
        ordered = times.combine_chunks().sort() if pa.types.is_string(times.type) else _sorted(times)
        rows = len(ordered)
        test_from = rows * (1 - config.test_fraction)
        self._test = _first_moment(ordered, test_from)
        self._validation = _first_moment(ordered, rows * (1 - config.test_fraction - config.validation_fraction))

    def assign(self, rows: pa.RecordBatch) -> Assigned:
        """Return each row's index in NAMES."""
        times = plain(rows.column(self._column))
        return _index(_is_from(times, self._validation), _is_from(times, self._test))


def _index(after_train: NDArray[np.bool_], in_test: NDArray[np.bool_]) -> Assigned:
    return after_train.astype(np.int8) + in_test.astype(np.int8)


def _sorted(times: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_boolean(times.type):
        return times.combine_chunks().cast(pa.int64()).sort()
    is_moment = pa.types.is_timestamp(times.type)
    values = (times.cast(pa.int64()) if is_moment else times).to_numpy().copy()
    values.sort()
    return pa.array(values).cast(times.type)


def _first_moment(ordered: pa.Array, place: float) -> pa.Scalar | None:
    """Return the first value all of whose rows stand at `place` or later; None when there is none."""
    first = int(np.ceil(place))
    if first >= len(ordered):
        return None
    value = ordered[first]
    if first == 0 or ordered[first - 1] != value:
        return value
    later = ordered.slice(first)
    return next(iter(later.filter(pc.greater(later, value)).slice(0, 1)), None)


def _is_from(times: pa.Array, moment: pa.Scalar | None) -> NDArray[np.bool_]:
    if moment is None:
        return np.zeros(len(times), dtype=bool)
    return np.asarray(pc.greater_equal(times.cast(moment.type), moment).to_numpy(zero_copy_only=False))


class RowPrints:
    """Fingerprints of rows: equal where the rows are equal in some columns; text must be in dictionaries."""

    def __init__(self, columns: Iterable[str]) -> None:
        self._columns = sorted(columns)
        self._known: dict[str, tuple[pa.Array, Fingerprints]] = {}

    def of(self, rows: pa.RecordBatch) -> Fingerprints:
        """Return one number per row."""
        return joined((self._cells(name, rows.column(name)) for name in self._columns), rows.num_rows)

    def _cells(self, name: str, cells: pa.Array) -> Fingerprints:
        cells = _comparable(cells)
        if not pa.types.is_dictionary(cells.type):
            return cell_fingerprints(cells)
        # Batches of one row group share their dictionaries.
        dictionary, texts = self._known.get(name, (None, None))
        if texts is None or not cells.dictionary.equals(dictionary):
            texts = text_fingerprints(cells.dictionary)
            self._known[name] = (cells.dictionary, texts)
        return placed(texts, cells.indices)


def _comparable(cells: pa.Array) -> pa.Array:
    kind = cells.type
    if pa.types.is_dictionary(kind) or pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return cells
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return cells.cast(pa.float64(), safe=False)
    if pa.types.is_null(kind):
        return cells.cast(pa.float64())
    return pa.array(
        [None if cell is None else repr(cell) for cell in cells.to_pylist()], pa.string()
    ).dictionary_encode()


def check_filled(counts: NDArray[np.int64], advice: str) -> None:
    """Refuse an assignment that leaves one of the splits empty.

    Args:
        counts: Rows of each split.
        advice: What to change.

    Raises:
        DataError: Names the empty split.
    """
    empty = [name for name, count in zip(NAMES, counts, strict=True) if count == 0]
    if empty:
        raise DataError(f"No rows are left for {' and '.join(empty)} out of {counts.sum():,}: {advice}")
