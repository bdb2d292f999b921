"""Follows a run until it has ended: one call a look, looks further apart while nothing happens."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ropewalk.errors import RunError, ServiceError
from ropewalk.launch import steps
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.tasks import ENDED, PAUSED, read_steps
from ropewalk.launch.progress import LiveProgress, PlainProgress
from ropewalk.launch.steps import FINISHED_EVENT, STARTED_EVENT, Step, Steps

_SLOWER = 1.5
"""By which the pause grows with each look that finds nothing new."""


class WaitTimeoutError(ServiceError):
    """The run has not ended within the time that was given; it goes on."""


def follow(
    server: Server,
    run_id: str,
    names: Sequence[str],
    *,
    progress: LiveProgress | PlainProgress,
    notice: Callable[[str], None],
    timeout: float | None = None,
) -> dict[str, Any]:
    """Return the run as it is when it has ended.

    Args:
        server: Where it runs.
        run_id: Which run.
        names: Names of its tasks.
        progress: What shows its steps meanwhile.
        notice: Called with a line when the run as a whole enters another state, such as PAUSED.
        timeout: Seconds to wait at most; None is as long as it takes.

    Raises:
        WaitTimeoutError: `timeout` is over.
        RunError: The run has been deleted meanwhile.
        ClusterError, ServiceError: As `Server.get`.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    shown = Shown(names, progress)
    pause = server.patience.shortest_poll
    state = ""
    while True:
        run = server.get(f"/runs/{run_id}", absent=True)
        if run is None:
            raise RunError(f"The run {run_id} is not on the server any more: somebody deleted it.")
        changed = shown.update(run, ahead=server.now() - time.time()) or run.get("state") != state
        if run.get("state") != state:
            state = str(run.get("state"))
            _tell(state, notice)
        if state in ENDED:
            return run
        pause = server.patience.shortest_poll if changed else min(_SLOWER * pause, server.patience.longest_poll)
        if deadline is not None and time.monotonic() + pause > deadline:
            time.sleep(max(0.0, deadline - time.monotonic()))
            raise WaitTimeoutError(f"The run is {state} after {timeout:g} s. It goes on.")
        time.sleep(pause)


class Shown:
    """The steps as they are shown: each change is told once."""

    def __init__(self, names: Sequence[str], progress: LiveProgress | PlainProgress) -> None:
        self._names = names
        self._progress = progress
        self._steps = Steps(names)

    def update(self, run: Mapping[str, Any], *, ahead: float) -> bool:
        """Take over what the server tells of `run`, and return whether anything is new."""
        before = {step.task: step for step in self._steps}
        now = read_steps(run, self._names, ahead=ahead)
        self._steps = _as_steps(now)
        news = [(step, event) for step in now for event in _events(before.get(step.task, Step(task=step.task)), step)]
        for step, event in news:
            self._progress.show(self._steps, step, event)
        return bool(news)


def _events(before: Step, now: Step) -> list[str]:
    begun = before.state == steps.WAITING and now.state != steps.WAITING
    again = before.state not in (steps.WAITING, steps.RUNNING) and now.state == steps.RUNNING
    ended = now.state not in (steps.WAITING, steps.RUNNING) and before.state != now.state
    started = (begun and now.state != steps.SKIPPED) or again
    return [STARTED_EVENT] * started + [FINISHED_EVENT] * ended


def _as_steps(found: Sequence[Step]) -> Steps:
    shown = Steps([])
    shown.replace(found)
    return shown


def _tell(state: str, notice: Callable[[str], None]) -> None:
    if state == PAUSED:
        notice("The run is PAUSED: it goes on when somebody resumes it. Waiting.")
    elif state == "CANCELING":
        notice("The run is being cancelled.")
