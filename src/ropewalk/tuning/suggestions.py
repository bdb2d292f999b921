"""Where the next parameters come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ropewalk.errors import ConfigError
from ropewalk.tuning.grid import grid
from ropewalk.tuning.spec import Experiment, Value


@dataclass(frozen=True)
class Wait:
    """No parameters now, but there will be when running trials have ended."""


@dataclass(frozen=True)
class Exhausted:
    """No more parameters."""


Suggestion = dict[str, Value] | Wait | Exhausted


class Suggester(Protocol):
    """Suggests parameters; the same seed and the same calls in the same order give the same suggestions."""

    notes: tuple[str, ...]
    """Settings that are not heeded here."""

    def ask(self) -> Suggestion:
        """Return the parameters of the next trial, whose number is the count of trials so far."""

    def tell(self, number: int, value: float | None) -> None:
        """Take up how trial `number` ended: its finite value, or None when it has none."""


class GridSuggester:
    """Every combination once. Optuna's GridSampler has another order, and ends by stopping the study."""

    notes: tuple[str, ...] = ()

    def __init__(self, experiment: Experiment) -> None:
        """Walk the grid from its start."""
        self._combinations = grid(experiment.parameters)

    def ask(self) -> Suggestion:
        """Return the next combination."""
        return next(self._combinations, Exhausted())

    def tell(self, number: int, value: float | None) -> None:
        """Learn nothing."""


def make_suggester(experiment: Experiment, seed: int) -> Suggester:
    """Return what suggests by the experiment's algorithm; its setting random_state goes before `seed`.

    Raises:
        ConfigError: The algorithm runs on a cluster only.
    """
    name = experiment.algorithm.name
    if name == "grid":
        return GridSuggester(experiment)
    if name == "hyperband":
        from ropewalk.tuning.hyperband import HyperbandSuggester

        return HyperbandSuggester(experiment, seed)
    if name == "pbt":
        raise ConfigError(
            "pbt runs on a cluster only: its trials hand on checkpoints over a shared volume. "
            "Choose tpe, or hyperband, which also gives good settings more epochs."
        )
    from ropewalk.tuning.samplers import OptunaSuggester

    return OptunaSuggester(experiment, seed)


def chosen_seed(settings: Mapping[str, object], seed: int) -> int:
    """Return the algorithm's own random_state if it has one."""
    return int(float(str(settings.get("random_state", seed))))
