"""What the journal of a local experiment says: one experiment, trials that start and end, and why it is over."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace

from ropewalk import __version__
from ropewalk.tuning.engine import OVER, State, Trial
from ropewalk.tuning.journal import Event
from ropewalk.tuning.local_command import LocalConfig
from ropewalk.tuning.metrics import Observation
from ropewalk.tuning.spec import Experiment


def experiment_digest(experiment: Experiment, config: LocalConfig) -> str:
    """Return the SHA-256 of what decides which trials there are and what they run."""
    content = {"experiment": asdict(experiment), "command": config.command, "seed": config.seed}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def versions() -> str:
    """Return what suggestions depend on besides the experiment."""
    from importlib.metadata import version

    return f"ropewalk {__version__} with optuna {version('optuna')}"


def head_event(experiment: Experiment, config: LocalConfig, time: float) -> Event:
    """Return the first line."""
    digest = experiment_digest(experiment, config)
    return {"event": "experiment", "name": experiment.name, "digest": digest, "time": time, "versions": versions()}


def started_event(trial: Trial) -> Event:
    """Return that a trial has started, perhaps again."""
    known = {"number": trial.number, "name": trial.name, "values": trial.values, "time": trial.started}
    return {"event": "started", **known}


def ended_event(trial: Trial, reports: Sequence[float]) -> Event:
    """Return how a trial ended; `reports` are those that early stopping compares others with."""
    return {
        "event": "ended",
        "number": trial.number,
        "state": trial.state,
        "seconds": trial.seconds,
        "observations": {name: vars(each) for name, each in trial.observations.items()},
        "message": trial.message,
        "log_tail": list(trial.log_tail),
        # NaN is no JSON; a limit that is a mean does not count it either.
        "reports": [value if math.isfinite(value) else None for value in reports],
    }


def ended_trial(trial: Trial, event: Event) -> tuple[Trial, list[float]]:
    """Return a trial as `ended_event` wrote it down, and its reports."""
    state: State = event["state"]
    assert state in OVER, f"a trial cannot end as {state!r}"
    ended = replace(
        trial,
        state=state,
        observations={name: Observation(**each) for name, each in event["observations"].items()},
        seconds=event["seconds"],
        message=event["message"],
        log_tail=tuple(event["log_tail"]),
    )
    return ended, [math.nan if value is None else value for value in event["reports"]]


def over_event(end: str, time: float) -> Event:
    """Return the last line."""
    return {"event": "over", "end": end, "time": time}
