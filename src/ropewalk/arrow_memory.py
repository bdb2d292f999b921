"""Arrow arrays and numpy arrays over the same memory.

pyarrow's own conversions (`pa.array`, `pa.scalar`, `to_numpy`, Python numbers as arguments of its kernels) import
pandas wherever it is installed, which costs a step 0.4 s of CPU before its first row. These do not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_WIDTHS = (8, 16, 32, 64)
_TYPES: dict[pa.DataType, np.dtype[Any]] = {
    **{getattr(pa, f"int{bits}")(): np.dtype(f"int{bits}") for bits in _WIDTHS},
    **{getattr(pa, f"uint{bits}")(): np.dtype(f"uint{bits}") for bits in _WIDTHS},
    pa.float32(): np.dtype(np.float32),
    pa.float64(): np.dtype(np.float64),
}
_ARROW_TYPES = {kind: arrow for arrow, kind in _TYPES.items()}


def stored(column: pa.Array, kind: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Return the stored values of a column of numbers, as `kind` if that is given; where a value is missing, any."""
    kind = kind or _TYPES[column.type]
    buffer = column.buffers()[1]
    if len(column) == 0 or buffer is None:
        return np.zeros(len(column), dtype=kind)
    return np.frombuffer(buffer, dtype=kind)[column.offset : column.offset + len(column)]


def known_bits(column: pa.Array) -> NDArray[np.uint8]:
    """Return 1 for each value and 0 for each null of a column that has nulls."""
    bits = np.unpackbits(np.frombuffer(column.buffers()[0], dtype=np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)]


def present(column: pa.Array) -> NDArray[Any]:
    """Return the values of a column of numbers, without the nulls."""
    values = stored(column)
    return values if column.null_count == 0 else values[known_bits(column).view(bool)]


def filled(column: pa.Array, value: int) -> NDArray[Any]:
    """Return the values of a column of numbers, with `value` where one is missing."""
    values = stored(column)
    return values if column.null_count == 0 else np.where(known_bits(column), values, values.dtype.type(value))


def as_arrow(values: NDArray[Any]) -> pa.Array:
    """Return numbers as an Arrow array over the same memory."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(_ARROW_TYPES[values.dtype], len(values), [None, pa.py_buffer(values)])


def as_texts(values: Sequence[str]) -> pa.Array:
    """Return texts as an Arrow array."""
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))])


def as_scalar(value: float | int) -> pa.Scalar:
    """Return a number as float64 or int64, for a kernel."""
    return as_arrow(np.array([value]))[0]


def no_value(kind: pa.DataType) -> pa.Scalar:
    """Return the null of a type."""
    return pa.nulls(1, kind)[0]
