"""How far each step of a run is, told by the events that the runner sends."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

WAITING = "waiting"
RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
SKIPPED = "skipped"
INTERRUPTED = "interrupted"

STARTED_EVENT = "started"
LINE_EVENT = "line"
FINISHED_EVENT = "finished"


@dataclass(kw_only=True)
class Step:
    """One step of a run."""

    task: str
    """The step's name; inside a loop the iteration's name and "/" come first."""
    state: str = WAITING
    """waiting, running, succeeded, failed, skipped or interrupted."""
    started: float | None = None
    """Seconds since the epoch."""
    seconds: float | None = None
    """How long it took; None until it has ended."""
    last_line: str = ""
    """The step's latest line of output."""
    error: str = ""
    """Why it failed: the message of its exception."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """{"parameters": {name: value}, "artifacts": {name: {"type", "path", "metadata"}}}"""

    @property
    def elapsed(self) -> float:
        """Seconds that it has taken so far."""
        if self.seconds is not None or self.started is None:
            return self.seconds or 0.0
        return time.time() - self.started


_TOLD = ("verdict", "model_name", "version", "repository", "commit", "hash")
"""Output parameters that say what a run decided on, registered, and was made of."""


def told_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a step's output parameters that a summary of the run tells, where they hold something."""
    return {name: parameters[name] for name in _TOLD if parameters.get(name)}


def best_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a step's output parameters that say what a search found: best_parameters and the like."""
    return {name: value for name, value in parameters.items() if name.startswith("best_")}


class Steps:
    """The steps of one run, in the order of the plan."""

    def __init__(self, plan: Iterable[str]) -> None:
        self._steps = {task: Step(task=task) for task in plan}

    def __iter__(self) -> Iterator[Step]:
        return iter(list(self._steps.values()))

    def replace(self, steps: Iterable[Step]) -> None:
        """Have these steps instead."""
        self._steps = {step.task: step for step in steps}

    @property
    def failed(self) -> list[Step]:
        """The steps that failed."""
        return [step for step in self if step.state == FAILED]

    def apply(self, event: dict[str, Any]) -> Step:
        """Take over what `event` says of a step, and return that step."""
        step = self._step(event["task"])
        match event["event"]:
            case "started":
                step.state, step.started, step.seconds, step.error = RUNNING, event["time"], None, ""
            case "line":
                step.last_line = event["text"]
            case "finished":
                step.state = FAILED if event["error"] else SUCCEEDED
                step.seconds, step.error, step.outputs = event["seconds"], event["error"], event["outputs"]
        return step

    def close(self) -> None:
        """Mark what did not end: running steps were interrupted, waiting ones skipped."""
        for step in self:
            if step.state == RUNNING:
                step.state, step.seconds = INTERRUPTED, round(step.elapsed, 3)
            elif step.state == WAITING:
                step.state = SKIPPED

    def as_records(self) -> list[dict[str, Any]]:
        """Return the steps as plain dictionaries."""
        return [asdict(step) for step in self]

    def brief(self) -> list[dict[str, Any]]:
        """Return task, state, seconds and what each found; once one has failed, what waits is skipped.

        What a search found are the output parameters whose names begin with "best_"; the rest is `told`.
        """
        waiting = SKIPPED if self.failed else WAITING
        return [
            {
                "task": step.task,
                "state": waiting if step.state == WAITING else step.state,
                "seconds": step.seconds,
                **best_of(step.outputs.get("parameters", {})),
                **({"told": told} if (told := told_of(step.outputs.get("parameters", {}))) else {}),
            }
            for step in self
        ]

    def _step(self, task: str) -> Step:
        if task not in self._steps:
            planned = task.rpartition("/")[2]
            if self._steps.get(planned, Step(task="")).state == WAITING:
                self._steps.pop(planned, None)
            self._steps[task] = Step(task=task)
        return self._steps[task]
