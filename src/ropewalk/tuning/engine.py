"""What an engine is: it starts an experiment or goes on with it, tells how it stands, and stops it."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from ropewalk.tuning.metrics import Observation, objective_value
from ropewalk.tuning.spec import Experiment, Objective, Value

State = Literal["pending", "running", "succeeded", "failed", "early_stopped", "stopped"]
End = Literal["goal_reached", "max_trials_reached", "space_exhausted", "max_failed_reached", "out_of_time"]

OVER: tuple[State, ...] = ("succeeded", "failed", "early_stopped", "stopped")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial as it stands."""

    number: int
    """From 0, in the order in which parameters were suggested."""
    name: str
    """Its name where it runs."""
    values: dict[str, Value]
    """Its parameters."""
    state: State
    """stopped: ended by the engine because the experiment was over."""
    observations: dict[str, Observation] = field(default_factory=dict)
    """What it reported, by metric."""
    seconds: float | None = None
    """How long it ran; None before its end."""
    started: float | None = None
    """When it started, seconds since 1970."""
    message: str = ""
    """Why it is in its state, where that is not plain."""
    log_tail: tuple[str, ...] = ()
    """The last lines of its log, of failed trials."""
    folder: str = ""
    """Where what it wrote is kept."""

    def value(self, objective: Objective) -> float | None:
        """Return its finite value of the objective, or None."""
        return objective_value(objective, self.observations)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An experiment as it stands."""

    trials: tuple[Trial, ...]
    """All trials, by number."""
    started: float
    """When the experiment was first started, seconds since 1970; going on does not change it."""
    end: End | None = None
    """Why it is over; None while it runs."""
    notes: tuple[str, ...] = ()
    """What the engine does otherwise than the experiment says, or leaves out."""


class Engine(Protocol):
    """Runs experiments, one at a time."""

    name: str
    """local, katib, ..."""

    def start(self, experiment: Experiment) -> None:
        """Start the experiment, or go on with it when it is there already.

        Raises:
            ConfigError: The experiment is wrong, or the engine cannot run it.
            RopewalkError: Another one is there, in the engine's own words.
        """

    def poll(self) -> Snapshot:
        """Return how it stands, after waiting a moment for something to happen."""

    def stop(self, end: End | None = None) -> Snapshot:
        """End all running trials and return how it stands.

        Args:
            end: Why the experiment is over for good; None when this process is ended before that. The same experiment
                can be started again then: on this machine it goes on, on a cluster it begins anew.
        """


def best_trial(objective: Objective, trials: tuple[Trial, ...] | list[Trial]) -> Trial | None:
    """Return the best of the trials that succeeded with a finite value, the first of equals; None without one.

    Katib looks at all trials with an observation, failed and stopped ones too; such a trial has no model to keep.
    """
    best: Trial | None = None
    for trial in trials:
        value = trial.value(objective)
        if trial.state != "succeeded" or value is None:
            continue
        held = best.value(objective) if best is not None else None
        if held is None or objective.better(value, held):
            best = trial
    return best
