"""What an evaluation found, before it is written down."""

from dataclasses import dataclass
from typing import Any

from ropewalk.evaluation.decision import Decision
from ropewalk.evaluation.metrics import Array, Floats


@dataclass(frozen=True, kw_only=True)
class Contender:
    """The model, or a baseline, on the test rows."""

    name: str
    """"model", "gradient_boosting" or "trivial"."""
    title: str
    predicted: Floats
    """Probabilities (rows, classes), or numbers (rows,)."""
    scores: dict[str, float]
    rows: int
    """Training rows that it was fitted on."""
    seconds: float
    """Time of fitting."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast the model answers on this machine."""

    rows_per_second: float
    """Over the whole test split."""
    single_row_seconds: float
    """Median time of one row by itself."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """All numbers of an evaluation."""

    truth: Array
    """Class indices or numbers of the test rows."""
    model: Contender
    boosting: Contender | None
    """None where the comparison is switched off."""
    trivial: Contender
    interval: tuple[float, float]
    """95 % interval of the model's headline metric."""
    difference: tuple[float, float, float] | None
    """The model's headline metric minus gradient boosting's, and its 95 % interval."""
    decision: Decision
    curves: dict[str, Any]
    """Points behind the plots, by name; see `curves`."""
    speed: Speed

    @property
    def contenders(self) -> list[Contender]:
        """The model first, then what it is compared with."""
        return [each for each in (self.model, self.boosting, self.trivial) if each is not None]

    @property
    def drawn(self) -> list[Contender]:
        """Those worth a line in a plot."""
        return [each for each in (self.model, self.boosting) if each is not None]
