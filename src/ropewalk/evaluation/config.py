"""Settings of evaluation."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from ropewalk.errors import ConfigError, nearest
from ropewalk.evaluation.catalog import BY_TASK, METRICS


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What a model must reach, and what it is compared with."""

    minimum: dict[str, float] = field(default_factory=dict)
    """Least acceptable value per metric, such as {"roc_auc": 0.8}; for metrics where more is better."""
    maximum: dict[str, float] = field(default_factory=dict)
    """Greatest acceptable value per metric, such as {"rmse": 12.5}; for metrics where less is better."""
    baseline_rows: int = 1_000_000
    """Most training rows that gradient boosting is fitted on, drawn at random; 0: no such comparison."""
    confidence_resamples: int = 1000
    """Bootstrap draws behind the 95 % intervals, in 100..100000; fewer when test rows exceed 50,000."""
    seed: int = 0
    """Seed of the bootstrap and of gradient boosting."""

    def __post_init__(self) -> None:
        _check_names("minimum", self.minimum, [name for name in METRICS if not METRICS[name].lower_is_better])
        _check_names("maximum", self.maximum, [name for name in METRICS if METRICS[name].lower_is_better])
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
