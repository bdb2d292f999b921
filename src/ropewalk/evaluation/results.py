"""What an evaluation found, before it is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.evaluation.champion import Champion
from ropewalk.evaluation.decision import Decision
from ropewalk.evaluation.importance import Importance
from ropewalk.evaluation.scorers import Array, Floats
from ropewalk.evaluation.slices import Slice
from ropewalk.evaluation.speed import Speed
from ropewalk.evaluation.threshold import OperatingPoint

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """The model, or what it is compared with, on the test rows."""

    name: str
    """"model", "champion", "gradient_boosting" or "trivial"."""
    title: str
    predicted: Floats
    """Probabilities (rows, classes), or numbers (rows,)."""
    scores: dict[str, float]
    rows: int | None
    """Training rows that it was fitted on; None: not known here."""
    seconds: float
    """Time of fitting."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The model compared with another contender, by metric."""

    contender: Contender
    values: dict[str, float]
    """The model's metric minus the other's."""
    intervals: dict[str, Interval]
    """95 % interval of each, of a paired comparison."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """All numbers of an evaluation."""

    truth: Array
    """Class indices or numbers of the test rows."""
    model: Contender
    champion: Champion | None
    """None: there is none yet."""
    others: Sequence[Contender]
    """What the model is compared with: the champion where it can be, gradient boosting where asked for, a guess."""
    intervals: dict[str, Interval]
    """95 % interval of each of the model's metrics."""
    differences: Sequence[Difference]
    """To every other contender but the guess."""
    calibration: tuple[float, float] | None
    """Calibration error, and what chance alone stays below; None for regression."""
    operating_point: OperatingPoint | None
    """None where no threshold is asked for."""
    threshold_wanted: Mapping[str, float]
    """What it was to serve, as in `EvaluationConfig.threshold`."""
    slices: Sequence[Slice]
    """Worst first."""
    importance: Sequence[Importance]
    """Greatest first."""
    speed: Speed
    curves: dict[str, Any]
    """Points behind the plots, by name; see `curves`."""
    decision: Decision

    @property
    def contenders(self) -> list[Contender]:
        """The model first, then what it is compared with."""
        return [self.model, *self.others]

    @property
    def drawn(self) -> list[Contender]:
        """Those worth a line in a plot."""
        return [each for each in self.contenders if each.name != "trivial"]

    @property
    def trivial(self) -> Contender:
        """The guess."""
        return self.others[-1]

    def difference(self, name: str) -> Difference | None:
        """Return the comparison with the contender of this name, if there is one."""
        return next((each for each in self.differences if each.contender.name == name), None)
