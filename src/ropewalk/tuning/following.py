"""Runs an experiment to its end on any engine, and says how it goes."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ropewalk.report.format import duration, number
from ropewalk.tuning.engine import OVER, Engine, Snapshot, Trial, best_trial
from ropewalk.tuning.spec import Experiment

_SAY_AGAIN_SECONDS = 30.0


def follow(engine: Engine, experiment: Experiment, *, say: Callable[[str], None]) -> Snapshot:
    """Start the experiment, or go on with it, and return how it stands when it is over.

    Whatever interrupts this, SIGTERM too, ends the running trials; the same call goes on later.

    Args:
        engine: Where it runs.
        experiment: What runs.
        say: Gets a line for each trial that starts to count, and one about the whole when it changes.
    """
    with _terminated_as_interrupt():
        engine.start(experiment)
        teller = _Teller(experiment, say)
        try:
            snapshot = engine.poll()
            teller.greet(snapshot)
            while snapshot.end is None:
                teller.tell(snapshot)
                snapshot = engine.poll()
            teller.tell(snapshot)
        except BaseException:
            engine.stop()
            raise
    return snapshot


class _Teller:
    """Says what has changed."""

    def __init__(self, experiment: Experiment, say: Callable[[str], None]) -> None:
        self._experiment = experiment
        self._say = say
        self._told: set[int] = set()
        self._noted: set[str] = set()
        self._counts = (-1, -1)
        self._last = 0.0

    def greet(self, snapshot: Snapshot) -> None:
        self._tell_notes(snapshot)
        known = [trial for trial in snapshot.trials if trial.state in OVER]
        if known:
            self._say(f"{self._experiment.name}: {len(known)} trials have ended so far.")

    def _tell_notes(self, snapshot: Snapshot) -> None:
        for note in snapshot.notes:
            if note not in self._noted:
                self._noted.add(note)
                self._say(f"note: {note}")

    def tell(self, snapshot: Snapshot) -> None:
        self._tell_notes(snapshot)
        for trial in snapshot.trials:
            if trial.state in OVER and trial.number not in self._told:
                self._told.add(trial.number)
                self._tell_trial(trial)
        done = sum(trial.state in OVER for trial in snapshot.trials)
        running = sum(trial.state == "running" for trial in snapshot.trials)
        now = time.monotonic()
        if (done, running) != self._counts or now - self._last > _SAY_AGAIN_SECONDS:
            self._counts, self._last = (done, running), now
            self._say(progress_line(self._experiment, snapshot))

    def _tell_trial(self, trial: Trial) -> None:
        value = trial.value(self._experiment.objective)
        shown = f" {self._experiment.objective.metric}={value:.6g}" if value is not None else ""
        values = ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in trial.values.items()
        )
        why = f" ({trial.message})" if trial.message else ""
        self._say(f"{trial.name} {trial.state}:{shown} with {values}{why}")
        for line in trial.log_tail:
            self._say(f"    {line}")


def progress_line(experiment: Experiment, snapshot: Snapshot) -> str:
    """Return how many trials are done and run, the best so far, and how long it may still take."""
    done = [trial for trial in snapshot.trials if trial.state in OVER]
    running = sum(trial.state == "running" for trial in snapshot.trials)
    most = experiment.limits.max_trials
    failed = sum(trial.state == "failed" for trial in done)
    parts = [f"{len(done)} of {most} trials done" + (f" ({failed} failed)" if failed else ""), f"{running} running"]
    best = best_trial(experiment.objective, snapshot.trials)
    value = best.value(experiment.objective) if best is not None else None
    if best is not None and value is not None:
        parts.append(f"best {experiment.objective.metric} {number(value)} ({best.name})")
    seconds = [trial.seconds for trial in done if trial.seconds is not None]
    if snapshot.end is not None:
        parts.append(f"over: {snapshot.end.replace('_', ' ')}")
    elif seconds:
        left = sum(seconds) / len(seconds) * (most - len(done)) / experiment.limits.parallel
        parts.append(f"about {duration(max(1.0, left))} left")
    return ", ".join(parts)


@contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """Have SIGTERM end this as Ctrl-C does, so that trials do not outlive it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
