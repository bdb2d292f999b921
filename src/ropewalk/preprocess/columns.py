"""Columns: what part each column of a table plays, learned from the training rows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.errors import ConfigError, DataError, nearest
from ropewalk.preprocess.config import PreprocessConfig

NUMERIC = "numeric"
CATEGORICAL = "categorical"
DATETIME = "datetime"
IGNORED = "ignored"

_IDENTIFIER_SHARE = 0.95
_IDENTIFIER_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Number:
    """One number taken from a column."""

    part: str
    """"value", or a part of a time: "hour" (0 to 24), "day_of_week" (0 to 6), "day_of_year" (1 to 366)."""
    center: float
    """Median of the training rows: subtracted, and put where the value is missing."""
    scale: float
    """Interquartile range of the training rows (standard deviation where that is 0): divided by; above 0."""
    edges: tuple[float, ...]
    """Increasing quantiles of the training rows in the column's own unit, 2 to bins + 1 of them."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One raw column and how it becomes numbers."""

    name: str
    type: str
    """Arrow type of the raw column, such as "int64"."""
    role: str
    """"numeric", "categorical", "datetime" or "ignored"."""
    reason: str
    """Why it has this role."""
    missing: float
    """Share of training rows without a (finite) value, in [0, 1]."""
    numbers: tuple[Number, ...] = ()
    """Numbers taken from it, each with a piecewise-linear embedding."""
    vocabulary: tuple[str | float, ...] | None = None
    """Known categories, most frequent first; None: it is not read as a category."""


def learn_columns(train: pa.Table, target: str, config: PreprocessConfig) -> list[Column]:
    """Return the part that each column except `target` plays.

    Roles: numbers are numeric, and categorical besides where they are integers with few distinct values; text
    and booleans are categorical; dates and timestamps are datetime. Set aside are columns named in `ignore`,
    columns without two distinct values, and text that differs in nearly every row.

    Raises:
        ConfigError: `config` names a column that is not there.
    """
    _check_names(train, target, config)
    return [_learn(name, train[name].combine_chunks(), config) for name in train.column_names if name != target]


def _check_names(train: pa.Table, target: str, config: PreprocessConfig) -> None:
    for setting in ("ignore", "numeric", "categorical"):
        for name in getattr(config, setting):
            if name not in train.column_names or name == target:
                known = [column for column in train.column_names if column != target]
                raise ConfigError(
                    f"preprocess.{setting} names {name!r}, which is no feature column of the table."
                    f"{nearest(name, known)}"
                )


def _learn(name: str, values: pa.Array, config: PreprocessConfig) -> Column:
    role, reason = _role(name, values.type, config)
    usable = as_numbers(values) if role == NUMERIC else values
    distinct = 0 if role == IGNORED else pc.count_distinct(usable, mode="only_valid").as_py()
    if role != IGNORED:
        role, reason = _worth(name, role, reason, len(usable) - usable.null_count, distinct, config)
    also_category = role == NUMERIC and pa.types.is_integer(values.type) and distinct <= config.integer_categories
    return Column(
        name=name,
        type=str(values.type),
        role=role,
        reason=f"{reason}, few enough to be categories too" if also_category else reason,
        missing=usable.null_count / max(len(usable), 1),
        numbers=tuple(_number(part, part_values, config) for part, part_values in parts(role, usable)),
        vocabulary=_vocabulary(usable, config) if role == CATEGORICAL or also_category else None,
    )


def _role(name: str, kind: pa.DataType, config: PreprocessConfig) -> tuple[str, str]:
    if name in config.ignore:
        return IGNORED, "named in `ignore`"
    if name in config.numeric:
        return NUMERIC, "named in `numeric`"
    if name in config.categorical:
        return CATEGORICAL, "named in `categorical`"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return NUMERIC, "holds numbers"
    if pa.types.is_temporal(kind) and not (pa.types.is_duration(kind) or pa.types.is_time(kind)):
        return DATETIME, "holds dates or times"
    if (
        pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_dictionary(kind)
    ):
        return CATEGORICAL, "holds text or truth values"
    return IGNORED, f"type {kind} is not understood"


def _worth(name: str, role: str, reason: str, filled: int, distinct: int, config: PreprocessConfig) -> tuple[str, str]:
    if distinct == 0:
        return IGNORED, "has no value in the training rows"
    if distinct == 1:
        return IGNORED, "has one value only"
    if (
        role == CATEGORICAL
        and name not in config.categorical
        and filled >= _IDENTIFIER_ROWS
        and distinct > _IDENTIFIER_SHARE * filled
    ):
        return IGNORED, "differs in nearly every row, like an identifier or free text"
    return role, reason


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
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def parts(role: str, values: pa.Array) -> list[tuple[str, pa.Array]]:
    """Return the (part, float64 values) that a column of this role contributes as numbers."""
    if role == NUMERIC:
        return [("value", values)]
    if role != DATETIME:
        return []
    times = values.cast(pa.timestamp("us"), safe=False)
    hour = pc.add(pc.hour(times).cast(pa.float64()), pc.divide(pc.minute(times).cast(pa.float64()), 60.0))
    named = [("hour", hour), ("day_of_week", pc.day_of_week(times)), ("day_of_year", pc.day_of_year(times))]
    return [(part, part_values.cast(pa.float64())) for part, part_values in named]


def _number(part: str, values: pa.Array, config: PreprocessConfig) -> Number:
    present = values.drop_null().to_numpy()
    if len(present) == 0:
        present = np.zeros(1)
    low, center, high = np.quantile(present, [0.25, 0.5, 0.75])
    edges = np.unique(np.quantile(present, np.linspace(0, 1, config.quantile_bins + 1)))
    scale = (high - low) or present.std() or 1.0
    return Number(part=part, center=float(center), scale=float(scale), edges=tuple(edges.tolist()))


def _vocabulary(values: pa.Array, config: PreprocessConfig) -> tuple[str | float, ...]:
    counts = pc.value_counts(as_categories(values).drop_null())
    # Ties in frequency are broken by name, so that the same rows in another order give the same vocabulary.
    ordered = pa.table([counts.field(0), counts.field(1)], ["value", "count"]).sort_by(
        [("count", "descending"), ("value", "ascending")]
    )
    return tuple(ordered["value"].slice(0, config.max_categories).to_pylist())


def as_categories(values: pa.Array) -> pa.Array:
    """Return `values` as comparable categories: float64 for numbers, so that 5 and 5.0 are one; text for the rest."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return values.cast(pa.float64(), safe=False)
    return values.cast(pa.string())
