"""Picking cells and rows out of Arrow arrays, at the speed of memory.

Arrow's own filter, take and drop_null cost three to five times as much for numbers with gaps, and every cell goes
through here.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_WIDE: dict[int, np.dtype[Any]] = {64: np.dtype(np.uint64), 32: np.dtype(np.uint32)}


def pick_rows(batch: pa.RecordBatch, places: NDArray[np.int64]) -> pa.RecordBatch:
    """Return the rows of `batch` at `places`, in that order; the result shares no memory with `batch`."""
    return pa.record_batch([_pick(column, places) for column in batch.columns], schema=batch.schema)


def present_numbers(numbers: pa.Array) -> NDArray[np.float64]:
    """Return the values of a float64 array, without the nulls."""
    stored = _stored(numbers, np.dtype(np.float64))
    if numbers.null_count == 0:
        return stored
    return np.take(stored, np.flatnonzero(_known_bits(numbers)))


def _pick(column: pa.Array, places: NDArray[np.int64]) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(_pick(column.indices, places), column.dictionary)
    if not pa.types.is_primitive(kind) or kind.bit_width not in _WIDE:
        return column.take(pa.array(places))
    values = np.take(_stored(column, _WIDE[kind.bit_width]), places)
    known = None
    if column.null_count:
        known = pa.py_buffer(np.packbits(np.take(_known_bits(column), places), bitorder="little"))
    return pa.Array.from_buffers(kind, len(places), [known, pa.py_buffer(values)])


def _stored(column: pa.Array, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return the stored values; where a value is missing, any."""
    buffer = column.buffers()[1]
    if len(column) == 0 or buffer is None:
        return np.zeros(len(column), dtype=kind)
    return np.frombuffer(buffer, dtype=kind)[column.offset : column.offset + len(column)]


def _known_bits(column: pa.Array) -> NDArray[np.uint8]:
    """Return 1 for each value and 0 for each null of a column that has nulls."""
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], dtype=np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)]
