"""One trial that runs on this machine: its processes, its reports and how it ended."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ropewalk.errors import DataError
from ropewalk.tuning.engine import State, Trial
from ropewalk.tuning.filters import LineReader
from ropewalk.tuning.local_command import LocalCommands, LocalTrial
from ropewalk.tuning.metrics import Series, objective_value
from ropewalk.tuning.process import LOG, TrialProcess, ended_at, exit_code
from ropewalk.tuning.spec import Experiment
from ropewalk.tuning.tail import Tail, last_lines

_LOG_LINES = 20


class RunningTrial:
    """A trial whose processes run."""

    def __init__(self, experiment: Experiment, command: LocalTrial, folder: Path, slot: int) -> None:
        """Start it."""
        self.slot = slot
        self.unreadable = ""
        """Why its metrics file cannot be read, "" while it can."""
        self._experiment = experiment
        self._series = Series(experiment.objective.metrics)
        self._reader = LineReader(experiment.metrics, experiment.objective.metrics)
        self._log = Tail(folder / LOG)
        self._tail = self._log if command.metrics_file is None else Tail(command.metrics_file)
        self._began = self._heard = time.monotonic()
        self._ended: float | None = None
        self._stopped: tuple[State, str] | None = None
        self._must_end = 0.0
        self._process = TrialProcess(folder, command.line, command.env)

    @property
    def reports(self) -> list[float]:
        """The objective's reports so far."""
        return self._series.values[self._experiment.objective.metric]

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def silent_seconds(self) -> float:
        """For how long it has written nothing, neither to its log nor to its metrics file."""
        return time.monotonic() - self._heard

    def read(self) -> None:
        """Take up what it has written since the last time."""
        lines = self._tail.lines()
        if lines or (self._tail is not self._log and self._log.lines()):
            self._heard = time.monotonic()
        self._take(lines)

    def _take(self, lines: Sequence[str]) -> None:
        try:
            for line in lines:
                self._series.add(self._reader.read(line))
        except DataError as error:
            self.unreadable = self.unreadable or str(error)

    def stop(self, state: State, why: str, seconds: float) -> None:
        """Ask it to end, as `state`; after `seconds` it is made to. Only the first call counts."""
        if self._stopped is None and not self._process.has_ended():
            self._stopped = (state, why)
            self._must_end = time.monotonic() + seconds
            self._process.terminate()

    def is_over(self) -> bool:
        """Return whether it has ended, or had the time to; then nothing of it runs any more."""
        if self._ended is not None:
            return True
        if self._stopped is None:
            over = self._process.has_ended()
        else:
            over = not self._process.is_alive() or time.monotonic() >= self._must_end
        if over:
            self._process.finish()
            self._ended = time.monotonic()
        return over

    def look(self, trial: Trial) -> Trial:
        """Return the trial as it stands."""
        return replace(trial, observations=self._series.observations())

    def result(self, trial: Trial) -> Trial:
        """Return how it ended."""
        self._take(self._tail.rest())
        if self._stopped is None and self.unreadable:
            self._stopped = ("failed", self.unreadable)
        state, message = self._stopped or _verdict(self._experiment, self._process.folder, self._series)
        return _ended(trial, state, message, self._series, self.seconds)


def harvest(experiment: Experiment, commands: LocalCommands, trial: Trial) -> tuple[Trial, list[float]] | None:
    """Return how a trial ended that no engine saw ending, with the objective's reports; None when it did not end."""
    folder = Path(trial.folder)
    if exit_code(folder) is None:
        return None
    file = commands.metrics_file(folder)
    series = Series(experiment.objective.metrics)
    reader = LineReader(experiment.metrics, experiment.objective.metrics)
    try:
        for line in Tail(file or folder / LOG).rest():
            series.add(reader.read(line))
        state, message = _verdict(experiment, folder, series)
    except DataError as error:
        state, message = "failed", str(error)
    seconds = max(0.0, ended_at(folder) - (trial.started or 0.0))
    return _ended(trial, state, message, series, seconds), series.values[experiment.objective.metric]


def _verdict(experiment: Experiment, folder: Path, series: Series) -> tuple[State, str]:
    """Return the state of a trial that ended by itself, and why."""
    code = exit_code(folder)
    if code is None:
        return "failed", "its shell was killed, perhaps for want of memory"
    if code != 0:
        return "failed", f"exit code {code}" + (f" (signal {code - 128})" if code > 128 else "")
    objective = experiment.objective
    observations = series.observations()
    if not observations[objective.metric].reports:
        return (
            "failed",
            f"it ended well but never reported {objective.metric}; print lines such as {objective.metric}=0.5",
        )
    if objective_value(objective, observations) is None:
        strategy = objective.strategy(objective.metric)
        return "succeeded", f"the {strategy} {objective.metric} is no finite number, so it cannot be the best"
    return "succeeded", ""


def _ended(trial: Trial, state: State, message: str, series: Series, seconds: float) -> Trial:
    tail = last_lines(Path(trial.folder) / LOG, _LOG_LINES) if state == "failed" else ()
    return replace(
        trial, state=state, message=message, observations=series.observations(), seconds=seconds, log_tail=tail
    )
