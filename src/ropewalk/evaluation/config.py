"""Settings of evaluation."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ropewalk.errors import ConfigError, nearest
from ropewalk.evaluation.catalog import BY_TASK, METRICS

_THRESHOLDS = ({"false_positive", "false_negative"}, {"precision"}, {"recall"})
_LIMITS = ("calibration_limit", "row_milliseconds", "batch_milliseconds", "model_megabytes")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What a model must reach to be promoted, and what it is compared with."""

    minimum: dict[str, float] = field(default_factory=dict)
    """Least acceptable value per metric, such as {"roc_auc": 0.8}; for metrics where more is better."""
    maximum: dict[str, float] = field(default_factory=dict)
    """Greatest acceptable value per metric, such as {"rmse": 12.5}; for metrics where less is better."""
    against_champion: Literal["non_inferior", "superior"] = "non_inferior"
    """What the 95 % interval of the paired difference to the champion must show, in the task's first metric: that the
    model is worse by less than `margin`, or that it is better."""
    margin: float = 0.01
    """How much worse still counts as non-inferior, as a share of the champion's value, in 0..1."""
    incomparable_champion: Literal["hold", "promote"] = "hold"
    """What to do about a champion that cannot be loaded or scored on these rows: have a person decide, or promote a
    model that meets all other conditions."""
    slice_limit: float | None = None
    """Worst acceptable value of the task's first metric in any slice; None: any."""
    slice_margin: float | None = 0.05
    """How much worse than the champion a slice may be beyond doubt, as a share of the champion's value there, in 0..1;
    None: any."""
    slice_rows: int = 100
    """Fewest test rows of a slice, 20 or more: what smaller ones show would be chance."""
    calibration_limit: float | None = None
    """Greatest acceptable calibration error, in 0..1, for classification; None: any."""
    row_milliseconds: float | None = None
    """Greatest acceptable latency of one row, the median, in milliseconds; None: any."""
    batch_milliseconds: float | None = None
    """Greatest acceptable latency of 1,000 rows at once (or all test rows, when fewer), in milliseconds; None: any."""
    model_megabytes: float | None = None
    """Greatest acceptable size of the model's files, in 1,000,000 bytes; None: any."""
    threshold: dict[str, float] = field(default_factory=dict)
    """How to choose the threshold of a binary model: what mistakes cost, such as {"false_positive": 1,
    "false_negative": 5}, or what to reach, {"precision": 0.9} or {"recall": 0.9}. Empty: none is chosen."""
    importance_rows: int = 10_000
    """Most test rows on which columns are shuffled to see what they are worth; 0: not at all."""
    baseline_rows: int = 1_000_000
    """Most training rows that gradient boosting is fitted on, drawn at random; 0: no such comparison."""
    confidence_resamples: int = 1000
    """Bootstrap draws behind the 95 % intervals, in 100..100000; fewer only with millions of test rows."""
    seed: int = 0
    """Seed of the bootstrap, the shuffles and gradient boosting."""

    def __post_init__(self) -> None:
        _check_names("minimum", self.minimum, [name for name in METRICS if not METRICS[name].lower_is_better])
        _check_names("maximum", self.maximum, [name for name in METRICS if METRICS[name].lower_is_better])
        for name in ("margin", "slice_margin", "calibration_limit"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"{name}={value}: need a share, 0 to 1.")
        for name in _LIMITS:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name}={value}: need a number above 0, or null for no limit.")
        _check_threshold(self.threshold)
        self._check_counts()

    def _check_counts(self) -> None:
        if self.slice_limit is not None and not math.isfinite(self.slice_limit):
            raise ConfigError(f"slice_limit={self.slice_limit}: need a finite number, or null for no limit.")
        if self.slice_rows < 20:
            raise ConfigError(f"slice_rows={self.slice_rows}: need 20 or more.")
        if self.importance_rows < 0:
            raise ConfigError(f"importance_rows={self.importance_rows}: need 0 (no importance) or more.")
        if self.baseline_rows < 0:
            raise ConfigError(f"baseline_rows={self.baseline_rows}: need 0 (no gradient boosting) or more.")
        if not 100 <= self.confidence_resamples <= 100_000:
            raise ConfigError(f"confidence_resamples={self.confidence_resamples}: need 100 to 100000.")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed}: need 0 or more.")


def check_limits(config: EvaluationConfig, task: str) -> None:
    """Refuse limits on metrics that `task` does not have.

    Raises:
        ConfigError: Names the metric and those that the task has.
    """
    known = BY_TASK[task]
    for setting, limits in (("minimum", config.minimum), ("maximum", config.maximum)):
        for name in limits:
            if name not in known:
                raise ConfigError(
                    f"{setting} names {name!r}, which a {task} model does not have. It has: {', '.join(known)}."
                )
    if config.threshold and task != "binary":
        raise ConfigError(f"threshold={config.threshold}: a {task} model has none. Leave it out.")
    if config.calibration_limit is not None and task == "regression":
        raise ConfigError("calibration_limit: a regression model gives no probabilities. Leave it out.")


def _check_names(setting: str, limits: dict[str, float], known: Iterable[str]) -> None:
    for name, limit in limits.items():
        if name not in METRICS:
            raise ConfigError(
                f"{setting} names {name!r}, which is no metric.{nearest(name, METRICS)} Known: {', '.join(known)}."
            )
        if name not in known:
            other, better = ("maximum", "less") if setting == "minimum" else ("minimum", "more")
            raise ConfigError(f"{setting} names {name!r}, but {better} of it is better: move it to {other}.")
        if not math.isfinite(limit):
            raise ConfigError(f"{setting}.{name}={limit}: need a finite number.")


def _check_threshold(wanted: dict[str, float]) -> None:
    if wanted and set(wanted) not in _THRESHOLDS:
        raise ConfigError(
            f"threshold={wanted}: give both costs, false_positive and false_negative, or one of precision and recall."
        )
    for name, value in wanted.items():
        target = name in ("precision", "recall")
        if not (math.isfinite(value) and value > 0) or (target and value > 1):
            needed = "a share above 0, up to 1" if target else "a cost above 0"
            raise ConfigError(f"threshold.{name}={value}: need {needed}.")
