"""A trial's reports, and the one of them that counts."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ropewalk.tuning.filters import Report
from ropewalk.tuning.spec import Objective, Strategy


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a trial reported of one metric. NaN and infinities are reports, but never the least or greatest."""

    latest: float | None
    """The last report; None when it is no finite number: the model that is kept has no such value."""
    min: float | None
    """The least finite report, None without one."""
    max: float | None
    """The greatest finite report, None without one."""
    reports: int
    """How many there were."""

    def value(self, strategy: Strategy) -> float | None:
        """Return the report that counts, None when there is none: such a trial is never the best."""
        return {"latest": self.latest, "min": self.min, "max": self.max}[strategy]


def observe(values: Iterable[float]) -> Observation:
    """Return what to remember of one metric's reports, in their order."""
    values = list(values)
    finite = [value for value in values if math.isfinite(value)]
    return Observation(
        latest=values[-1] if values and math.isfinite(values[-1]) else None,
        min=min(finite, default=None),
        max=max(finite, default=None),
        reports=len(values),
    )


class Series:
    """The reports of a running trial, by metric."""

    def __init__(self, metrics: Iterable[str]) -> None:
        """Expect reports of `metrics`."""
        self.values: dict[str, list[float]] = {name: [] for name in metrics}

    def add(self, reports: Iterable[Report]) -> None:
        """Take up reports in their order."""
        for name, value, _ in reports:
            self.values[name].append(value)

    def observations(self) -> dict[str, Observation]:
        """Return what to remember of every metric."""
        return {name: observe(values) for name, values in self.values.items()}


def objective_value(objective: Objective, observations: Mapping[str, Observation]) -> float | None:
    """Return a trial's value of the objective under its strategy, None without a finite one."""
    found = observations.get(objective.metric)
    return None if found is None else found.value(objective.strategy(objective.metric))
