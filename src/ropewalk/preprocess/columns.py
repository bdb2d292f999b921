"""Columns: what part each column of a table plays, and how its values are read in training and in serving."""

from dataclasses import dataclass
from math import pi

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.arrow_memory import as_arrow, as_scalar, no_value, stored
from ropewalk.errors import DataError
from ropewalk.fingerprints import mixed, text_fingerprints
from ropewalk.preprocess.config import BOOLEAN, CATEGORICAL, DATETIME, HASHED, IGNORED, NUMERIC, TEXT

VALUE = "value"
"""The part of a numeric column that is its number."""
UNUSED = (IGNORED, TEXT)
"""Roles of columns that the model does not read."""

_WHOLE = 2.0**53
"""Up to here float64 holds every whole number."""
_DAY = 24 * 3600 * 1e6
_CYCLES = {"month": (1, 12), "day_of_week": (0, 7), "day_of_year": (1, 365.25), "hour": (0, 24)}
"""First value and length of each cycle."""

__all__ = ["BOOLEAN", "CATEGORICAL", "DATETIME", "HASHED", "IGNORED", "NUMERIC", "TEXT"]


@dataclass(frozen=True, kw_only=True)
class Number:
    """One number taken from a column."""

    part: str
    """"value", or a part of a time, see `PreprocessConfig.datetime_parts`."""
    center: float
    """Median (standard scaling: mean) of the training rows: subtracted."""
    scale: float
    """Interquartile range of the training rows (standard deviation where that is 0, and with standard scaling):
    divided by; above 0."""
    edges: tuple[float, ...]
    """Increasing quantiles of the training rows in the column's own unit, 2 to bins + 1 of them."""
    fill: float | None = None
    """What stands for a missing value, in the column's own unit; None: `center`."""
    targets: tuple[float, ...] = ()
    """Quantile scaling: what each of `edges` becomes, values between them in proportion. Empty: linear scaling."""
    indicator: bool = True
    """Whether the model is told where it was missing."""
    vocabulary: tuple[float, ...] = ()
    """Of a part of a time: its known values, increasing, which enter as categories too. Empty: it is a number only."""

    def label(self, column: str) -> str:
        """Return its name as a part of `column`: "distance", "time_hour.day_of_week"."""
        return column if self.part == VALUE else f"{column}.{self.part}"

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return float64 `values` of the column's own unit as the network takes them; order is kept."""
        if self.targets:
            return np.asarray(np.interp(values, self.edges, self.targets))
        with np.errstate(over="ignore"):
            return np.asarray((values - self.center) / self.scale)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One raw column and how it becomes numbers."""

    name: str
    type: str
    """Arrow type of the raw column, such as "int64"."""
    role: str
    """One of `ropewalk.preprocess.config.ROLES`."""
    reason: str
    """Why it has this role."""
    missing: float
    """Share of training rows without a (finite) value, in [0, 1]."""
    numbers: tuple[Number, ...] = ()
    """Numbers taken from it, each with a piecewise-linear embedding."""
    vocabulary: tuple[str | float, ...] | None = None
    """Known categories, most frequent first; None: it is not read as a category, or hashed."""
    buckets: int | None = None
    """Buckets of a hashed column; None: it is not hashed."""

    @property
    def categories(self) -> int | None:
        """How many categories it is coded in; None when it is not read as a category."""
        return self.buckets if self.vocabulary is None else len(self.vocabulary)


def read_values(role: str, kind: str, values: pa.Array) -> pa.Array:
    """Return the values of a column of this role, whatever Arrow type they came in.

    Args:
        role: The column's role.
        kind: Arrow type that the column had in training.
        values: Raw cells.

    Raises:
        DataError: They cannot be read so.
    """
    try:
        values = plain(values)
        if role == NUMERIC:
            return as_numbers(values)
        if role == DATETIME:
            return _as_times(values, kind)
        if role == BOOLEAN or (role == CATEGORICAL and kind == "bool"):
            return _as_truth_names(values)
        return values
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{error}.") from error


def plain(values: pa.Array) -> pa.Array:
    """Return `values` without a dictionary."""
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def as_numbers(values: pa.Array) -> pa.Array:
    """Return `values` as float64, null where it is no finite number.

    Raises:
        DataError: Text that is no number, with an example.
    """
    try:
        numbers = values.cast(pa.float64(), safe=False)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"A column that is read as numbers holds something else: {error}. "
            "Name it in preprocess.categorical, or mend the data."
        ) from error
    # A sum is finite only when all its numbers are, and far quicker than looking at each.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(stored(numbers).sum()):
            return numbers
    return pc.if_else(pc.is_finite(numbers), numbers, no_value(pa.float64()))


def _as_times(values: pa.Array, kind: str) -> pa.Array:
    """Return points in time without a zone: in UTC where the column has one."""
    if pa.types.is_string(values.type) and "tz=" in kind:
        values = values.cast(pa.timestamp("us", "UTC"))
    return values.cast(pa.timestamp("us"), safe=False)


def number_parts(role: str, values: pa.Array, names: tuple[str, ...]) -> list[pa.Array]:
    """Return the float64 numbers called `names` of the values that `read_values` gave."""
    if role != DATETIME:
        return [values for _ in names]
    return [_time_part(values, name) for name in names]


def _time_part(times: pa.Array, name: str) -> pa.Array:
    base, _, turn = name.rpartition("_")
    if turn in ("sin", "cos"):
        first, length = _CYCLES[base]
        angle = pc.multiply(pc.subtract(_time_part(times, base), as_scalar(float(first))), as_scalar(2 * pi / length))
        return pc.sin(angle) if turn == "sin" else pc.cos(angle)
    if name == "hour":
        return pc.add(
            pc.hour(times).cast(pa.float64()), pc.divide(pc.minute(times).cast(pa.float64()), as_scalar(60.0))
        )
    if name == "days":
        return pc.divide(times.cast(pa.int64()).cast(pa.float64(), safe=False), as_scalar(_DAY))
    part = {"year": pc.year, "month": pc.month, "day": pc.day, "day_of_week": pc.day_of_week}.get(name, pc.day_of_year)
    return part(times).cast(pa.float64())


def as_categories(values: pa.Array) -> pa.Array:
    """Return `values` as comparable categories: float64 for numbers, so that 5 and 5.0 are one; text for the rest.

    What is no finite number is null.
    """
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        # Adding zero makes -0.0 the category 0.0.
        return pc.add(as_numbers(values), as_scalar(0.0))
    return values.cast(pa.string())


def as_names(values: pa.Array) -> pa.Array:
    """Return `values` as text, whole numbers without a decimal point, so that 5 and 5.0 are one."""
    if pa.types.is_floating(values.type):
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), as_scalar(_WHOLE)))
        digits = pc.if_else(whole, values, no_value(values.type)).cast(pa.int64()).cast(pa.string())
        return pc.if_else(whole, digits, values.cast(pa.string()))
    return values.cast(pa.string())


def bucket_of(values: pa.Array, buckets: int) -> pa.Array:
    """Return the bucket of each value, in 0..buckets - 1, null where it is missing.

    The hash is that of `ropewalk.fingerprints` over the value's text in UTF-8, mixed, modulo `buckets`: it depends on
    nothing else, so that a model finds its buckets again on any machine.
    """
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), no_value(values.type), values)
    names = pc.dictionary_encode(as_names(values))
    places = mixed(text_fingerprints(names.dictionary)) % np.uint64(buckets)
    return as_arrow(places.astype(np.int32)).take(names.indices)


def _as_truth_names(values: pa.Array) -> pa.Array:
    """Return numbers as truth values; text stays, so that "maybe" is a category that was not seen."""
    if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
        return values
    return values.cast(pa.bool_())
