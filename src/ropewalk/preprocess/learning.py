"""Learning: from the training rows, a batch at a time, to the part that each column plays."""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ropewalk.arrow_memory import present
from ropewalk.errors import DataError
from ropewalk.preprocess.columns import (
    UNUSED,
    VALUE,
    Column,
    Number,
    as_categories,
    number_parts,
    plain,
    read_values,
)
from ropewalk.preprocess.config import BOOLEAN, CATEGORICAL, DATETIME, HASHED, IGNORED, NUMERIC, TEXT, PreprocessConfig
from ropewalk.preprocess.roles import check_names, first_role, is_free_text
from ropewalk.preprocess.statistics import (
    CategoryCounts,
    DistinctCount,
    NumberStatistics,
    RowSample,
    distinct_prints,
)

_MOST_SAMPLED = 2**18
_MOST_CELLS = 2**23
_FEWEST_SAMPLED = 2**12
_IDENTIFIER_SHARE = 0.95
_IDENTIFIER_ROWS = 100
_EXTREME = 1e300
"""Larger numbers count as this in quantiles, whose differences stay finite so."""
_MOMENT = "days"


def learn_columns(
    train: pa.Table, target: str, config: PreprocessConfig, aside: Mapping[str, str] | None = None
) -> list[Column]:
    """Return the part that each column of `train` except `target` plays.

    Raises:
        ConfigError: `config` names a column that is not there.
        DataError: A column that is named numeric holds something else.
    """
    learner = Learner(train.schema, target, config, aside or {})
    for batch in train.to_batches():
        learner.add(batch)
    return learner.columns()


class Learner:
    """Gathers what there is to know of the training rows.

    Roles: numbers are numeric, and categorical besides where they are integers with few distinct values; text is
    categorical, or hashed above `max_categories`; truth values are boolean; dates and timestamps are datetime. Set
    aside are columns named in `ignore`, columns without two distinct values, free text, and text that differs in
    nearly every row.

    Counts, means, extents and categories come from all rows; quantiles, and what is compared with the target, from
    a sample: all rows up to 262,144 (fewer for tables of more than 32 columns), above that at least half as many.
    """

    def __init__(self, schema: pa.Schema, target: str, config: PreprocessConfig, aside: Mapping[str, str]) -> None:
        """Start with no rows.

        Args:
            schema: Columns of the rows to come, with the target.
            target: Name of the target.
            config: The settings.
            aside: Columns that are no features, and why.

        Raises:
            ConfigError: `config` names a column that is not there.
        """
        check_names(schema.names, target, config)
        self._gathered = [
            _Gathered(field.name, _value_type(field.type), *first_role(field.name, field.type, config, aside), config)
            for field in schema
            if field.name != target
        ]
        self._sampled = [target, *(each.name for each in self._gathered if each.role not in UNUSED)]
        most = max(_FEWEST_SAMPLED, min(_MOST_SAMPLED, _MOST_CELLS // len(self._sampled)))
        self.sample = RowSample(most)
        """Some of the rows, or all; their columns are the target and those with a use."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Add more training rows.

        Raises:
            DataError: A column that is named numeric holds something else.
        """
        for gathered in self._gathered:
            gathered.add(batch.column(gathered.name))
        self.sample.add(batch.select(self._sampled))

    def columns(self) -> list[Column]:
        """Return what was learned."""
        return [gathered.column(self.sample) for gathered in self._gathered]


class _Gathered:
    """What is known of one column."""

    def __init__(self, name: str, kind: pa.DataType, role: str, reason: str, config: PreprocessConfig) -> None:
        self.name, self.role = name, role
        self._kind, self._type, self._reason, self._config = kind, str(kind), reason, config
        parts = {NUMERIC: (VALUE,), DATETIME: (_MOMENT, *config.datetime_parts)}.get(role, ())
        self._numbers = {part: NumberStatistics() for part in parts}
        self._rows = self._filled = 0
        self._distinct = DistinctCount()
        self._counts = self._counter()

    def _counter(self) -> CategoryCounts | None:
        if self.role == NUMERIC and pa.types.is_integer(self._kind) and self._config.integer_categories:
            return CategoryCounts(self._config.integer_categories, lossy=False, forget=lambda values: None)
        if self.role in (CATEGORICAL, BOOLEAN):
            lossy = self._config.above_max_categories == "unknown"
            return CategoryCounts(self._config.max_categories, lossy=lossy, forget=self._count_distinct)
        return None

    def _count_distinct(self, values: pa.Array) -> None:
        self._distinct.add(distinct_prints(values))

    def add(self, cells: pa.Array) -> None:
        self._rows += len(cells)
        if self.role in UNUSED:
            return
        try:
            # Text in a dictionary stays there: counting places is far cheaper than counting texts.
            is_text = self.role in (CATEGORICAL, HASHED) and pa.types.is_dictionary(cells.type)
            values = cells if is_text else read_values(self.role, self._type, cells)
            self._add_values(values)
        except DataError as error:
            raise DataError(f"The column {self.name!r} cannot be read as {self.role}: {error}") from error

    def _add_values(self, values: pa.Array) -> None:
        self._filled += len(values) - values.null_count
        parts = number_parts(self.role, values, tuple(self._numbers))
        for statistics, numbers in zip(self._numbers.values(), parts, strict=True):
            statistics.merge(NumberStatistics.of(numbers))
        if self._counts is not None and not self._counts.stopped:
            self._counts.add(values if pa.types.is_dictionary(values.type) else as_categories(values))
        elif self.role in (CATEGORICAL, HASHED):
            self._count_distinct(values)

    def column(self, sample: RowSample) -> Column:
        role, reason = self._final_role(sample)
        vocabulary = None
        also_category = role == NUMERIC and self._counts is not None and self._counts.distinct > 0
        if role in (CATEGORICAL, BOOLEAN) or also_category:
            assert self._counts is not None
            vocabulary = tuple(self._counts.most_frequent(at_least=self._config.min_count))
        if also_category and vocabulary:
            reason = f"{reason}, few enough to be categories too"
        return Column(
            name=self.name,
            type=self._type,
            role=role,
            reason=reason,
            missing=(self._rows - self._filled) / max(self._rows, 1) if self.role not in UNUSED else 0.0,
            numbers=self._learn_numbers(sample) if role in (NUMERIC, DATETIME) else (),
            vocabulary=vocabulary or None,
            buckets=self._config.hash_buckets if role == HASHED else None,
        )

    def _final_role(self, sample: RowSample) -> tuple[str, str]:
        if self.role in UNUSED:
            return self.role, self._reason
        distinct = self._distinct_values()
        if distinct == 0:
            return IGNORED, "has no value in the training rows"
        if distinct == 1:
            return IGNORED, "has one value only"
        if self.role == CATEGORICAL and self._config.role_of(self.name) is None:
            unreadable = self._unreadable(distinct, sample)
            if unreadable:
                return unreadable
        if self._counts is None or self.role == NUMERIC:
            return self.role, self._reason
        if self._counts.distinct == 0:
            more = f"{self._config.max_categories:,} categories"
            return HASHED, f"{self._reason}, more than {more}: {self._config.hash_buckets:,} buckets"
        if not self._counts.most_frequent(at_least=self._config.min_count):
            return IGNORED, f"every category has fewer than {self._config.min_count:,} rows (min_count)"
        return self.role, self._reason

    def _distinct_values(self) -> int:
        """Return how many values differ; of numbers and times, 2 for all above."""
        if not self._numbers:
            # Summing up the counts may be what lets some of them go to the other count: it comes first.
            counted = self._counts.distinct if self._counts else 0
            return max(counted, self._distinct.count)
        first = next(iter(self._numbers.values()))
        return min(first.count, 1) + (first.low < first.high)

    def _unreadable(self, distinct: int, sample: RowSample) -> tuple[str, str] | None:
        if self._filled < _IDENTIFIER_ROWS:
            return None
        lengths = [pc.binary_length(plain(cells).cast(pa.string())) for cells in sample.column(self.name)]
        mean_length = pc.mean(pa.chunked_array(lengths)).as_py() or 0.0
        if is_free_text(mean_length=mean_length, distinct=distinct, filled=self._filled):
            return TEXT, f"reads like free text ({mean_length:.0f} characters on average)"
        if distinct > _IDENTIFIER_SHARE * self._filled:
            return IGNORED, "differs in nearly every row, like an identifier or free text"
        return None

    def _learn_numbers(self, sample: RowSample) -> tuple[Number, ...]:
        wanted = (VALUE,) if self.role == NUMERIC else self._config.datetime_parts
        varied = tuple(part for part in wanted if self._numbers[part].low < self._numbers[part].high)
        chunks = [
            number_parts(self.role, read_values(self.role, self._type, cells), varied)
            for cells in sample.column(self.name)
        ]
        return tuple(
            self._number(part, np.concatenate([present(chunk[place]) for chunk in chunks]))
            for place, part in enumerate(varied)
        )

    def _number(self, part: str, sampled: NDArray[np.float64]) -> Number:
        scaling = self._config.scaling_by_column.get(self.name, self._config.scaling)
        impute = self._config.impute_by_column.get(self.name, self._config.impute)
        statistics = self._numbers[part]
        levels = np.linspace(0, 1, self._config.quantile_bins + 1)
        extent = np.clip([statistics.low, statistics.high], -_EXTREME, _EXTREME)
        values = sampled.clip(-_EXTREME, _EXTREME) if len(sampled) else extent
        quantiles = np.quantile(values, [0.25, 0.5, 0.75, *levels])
        (low, median, high), grid = quantiles[:3], quantiles[3:]
        # A sample may miss the outermost values.
        grid[0], grid[-1] = extent
        deviation = min(statistics.deviation, _EXTREME)
        standard = scaling == "standard"
        center = statistics.mean if standard else float(median)
        scale = float(deviation if standard else (high - low) or deviation) or 1.0
        fill = float(median) if impute == "median" else statistics.mean
        edges = np.unique(grid)
        return Number(
            part=part,
            center=center,
            scale=scale,
            edges=tuple(edges.tolist()),
            fill=None if fill == center else fill,
            targets=_normal_scores(grid, edges, levels) if scaling == "quantile" else (),
            indicator=self._config.missing_indicator,
            vocabulary=self._part_categories(sampled) if self.role == DATETIME else (),
        )

    def _part_categories(self, sampled: NDArray[np.float64]) -> tuple[float, ...]:
        """Return the values of a part of a time when they are few and whole; one that no sampled row has is new.

        So a day of the year may differ from its neighbours, as a holiday does.
        """
        values = np.unique(sampled)
        few_and_whole = len(values) <= self._config.integer_categories and bool((values == np.floor(values)).all())
        return tuple(values.tolist()) if few_and_whole else ()


def _normal_scores(
    grid: NDArray[np.float64], edges: NDArray[np.float64], levels: NDArray[np.float64]
) -> tuple[float, ...]:
    """Return what each edge becomes: the normal distribution's quantile at the mean level that the edge stands for.

    The outermost levels, which have none, count as half a bin.
    """
    normal, least = NormalDist(), 0.5 / len(levels)
    means = [float(levels[grid == edge].mean()) for edge in edges]
    return tuple(normal.inv_cdf(min(max(level, least), 1 - least)) for level in means)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
