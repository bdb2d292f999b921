"""Runs an experiment on this machine, from a journal with which a killed run goes on."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ropewalk.errors import ConfigError, RunError
from ropewalk.tuning.check import check_experiment
from ropewalk.tuning.engine import End, Snapshot, Trial, best_trial
from ropewalk.tuning.journal import Event, Journal
from ropewalk.tuning.local_command import LocalCommands, LocalConfig
from ropewalk.tuning.local_events import (
    ended_event,
    ended_trial,
    experiment_digest,
    head_event,
    over_event,
    started_event,
    versions,
)
from ropewalk.tuning.local_trial import RunningTrial, harvest
from ropewalk.tuning.medianstop import MedianStop
from ropewalk.tuning.process import empty_folder, end_leftovers
from ropewalk.tuning.spec import Experiment, Value
from ropewalk.tuning.suggestions import Exhausted, Suggester, Suggestion, Wait, make_suggester

JOURNAL = "trials.jsonl"
_TICK = 0.02
_POLL = 0.5


class LocalEngine:
    """Runs trials as processes of this machine, each in a folder of its own under `folder`/trials."""

    name = "local"

    def __init__(self, folder: Path, config: LocalConfig = LocalConfig()) -> None:  # noqa: B008 (it is frozen)
        """Keep everything of one experiment in `folder`."""
        self._folder = folder
        self._config = config

    def start(self, experiment: Experiment) -> None:
        """Start the experiment, or go on with the one in the folder: finished trials are not repeated.

        Raises:
            ConfigError: The experiment is wrong, another one is in the folder, or it needs a cluster.
            RunError: Another process runs it, or its suggestions cannot be repeated.
        """
        check_experiment(experiment)
        self._experiment = experiment
        self._commands = LocalCommands(experiment, self._config)
        self._suggester: Suggester = make_suggester(experiment, self._config.seed)
        stopping = experiment.early_stopping
        self._median = MedianStop(stopping, experiment.objective) if stopping is not None else None
        self._trials: dict[int, Trial] = {}
        self._reports: dict[int, list[float]] = {}
        self._running: dict[int, RunningTrial] = {}
        self._exhausted = False
        self._ending: End | None = None
        self._end: End | None = None
        self._journal = Journal(self._folder / JOURNAL)
        try:
            self._begin()
            self._replay()
        except BaseException:
            self._journal.close()
            raise

    def poll(self) -> Snapshot:
        """Return how the experiment stands, as soon as something happens, else after half a second."""
        deadline = time.monotonic() + _POLL
        while self._end is None:
            changed = self._step()
            if changed or time.monotonic() >= deadline:
                break
            time.sleep(_TICK)
        return self._snapshot()

    def stop(self, end: End | None = None) -> Snapshot:
        """End running trials; without `end` they are run again when the experiment goes on."""
        if end is None:
            for running in self._running.values():
                running.stop("stopped", "interrupted", self._config.terminate_seconds)
            while any(not running.is_over() for running in self._running.values()):
                time.sleep(_TICK)
            self._running.clear()
            self._journal.close()
            return self._snapshot()
        self._ending = self._ending or end
        while self._end is None:
            self._step()
            time.sleep(_TICK)
        return self._snapshot()

    def _begin(self) -> None:
        if not self._journal.events:
            self._started = time.time()
            self._journal.append(head_event(self._experiment, self._config, self._started))
            return
        head, digest = self._journal.events[0], experiment_digest(self._experiment, self._config)
        if head.get("digest") != digest:
            raise ConfigError(
                f"{self._folder} holds another experiment, {head.get('name')!r}, or this one with other settings "
                f"(its digest is {str(head.get('digest'))[:12]}, this one's {digest[:12]}). Give another folder."
            )
        self._started = float(head["time"])

    def _replay(self) -> None:
        """Take up what the journal says, and what trials did after its end.

        The calls of the suggester are repeated, so that it goes on as it would have.
        """
        for event in self._journal.events[1:]:
            if event["event"] == "started":
                self._replay_start(event)
            elif event["event"] == "ended":
                self._take(*ended_trial(self._trials[event["number"]], event))
            elif event["event"] == "over":
                self._end = event["end"]
                self._journal.close()
        for trial in [each for each in self._trials.values() if each.state == "running"]:
            end_leftovers(Path(trial.folder))
            if finished := harvest(self._experiment, self._commands, trial):
                self._record(*finished)
            else:
                self._trials[trial.number] = replace(trial, state="pending")

    def _replay_start(self, event: Event) -> None:
        number = event["number"]
        if number not in self._trials:
            suggested = self._suggester.ask()
            if not _is_repeated(suggested, event["values"]):
                raise RunError(
                    f"{self._folder}: trial {number} was started with {event['values']}, but the suggestions repeat as "
                    f"{suggested}. It was run by {self._journal.events[0]['versions']}, here are {versions()}: use "
                    "those versions, or another folder."
                )
            self._trials[number] = self._new_trial(number, event["values"], event["time"])
        else:
            self._trials[number] = replace(self._trials[number], started=event["time"])

    def _step(self) -> bool:
        """Do what is to do now; return whether a trial has started or ended, or the experiment."""
        changed = self._gather()
        self._ending = self._ending or self._reason_to_end()
        if self._ending is not None:
            for running in self._running.values():
                running.stop("stopped", f"the experiment is over: {self._ending}", self._config.terminate_seconds)
        else:
            changed |= self._launch()
            if not self._running:
                self._ending = "space_exhausted" if self._exhausted else "max_trials_reached"
        if self._ending is not None and not self._running:
            self._finish(self._ending)
            return True
        return changed

    def _gather(self) -> bool:
        """Read what running trials report, stop those that should be, and take up those that have ended."""
        limit = self._median_limit()
        ended = []
        for number, running in self._running.items():
            self._judge(running, limit)
            if running.is_over():
                ended.append(number)
        for number in ended:
            running = self._running.pop(number)
            self._record(running.result(self._trials[number]), running.reports)
        return bool(ended)

    def _judge(self, running: RunningTrial, limit: float | None) -> None:
        wait = self._config.terminate_seconds
        running.read()
        if running.unreadable:
            running.stop("failed", running.unreadable, wait)
        limits = self._experiment.limits
        if limits.trial_seconds is not None and running.seconds > limits.trial_seconds:
            running.stop("failed", f"it took longer than trial_seconds={limits.trial_seconds:g}", wait)
        if limits.stall_seconds is not None and running.silent_seconds > limits.stall_seconds:
            running.stop("failed", f"it said nothing for stall_seconds={limits.stall_seconds:g}", wait)
        if self._median is not None and self._median.is_hopeless(running.reports, limit):
            running.stop("early_stopped", f"its best is worse than {limit:g}, what others had then", wait)

    def _median_limit(self) -> float | None:
        if self._median is None:
            return None
        return self._median.limit(
            self._reports[number] for number, trial in self._trials.items() if trial.state == "succeeded"
        )

    def _reason_to_end(self) -> End | None:
        limits, objective = self._experiment.limits, self._experiment.objective
        best = best_trial(objective, list(self._trials.values()))
        value = best.value(objective) if best is not None else None
        if objective.goal is not None and value is not None and not objective.better(objective.goal, value):
            return "goal_reached"
        failed = sum(trial.state == "failed" for trial in self._trials.values())
        if limits.max_failed is not None and failed and failed >= limits.max_failed:
            return "max_failed_reached"
        if limits.experiment_seconds is not None and time.time() - self._started > limits.experiment_seconds:
            return "out_of_time"
        return None

    def _launch(self) -> bool:
        launched = False
        while len(self._running) < self._experiment.limits.parallel:
            trial = self._next_trial()
            if trial is None:
                break
            self._run(trial)
            launched = True
        return launched

    def _next_trial(self) -> Trial | None:
        pending = next((trial for trial in self._trials.values() if trial.state == "pending"), None)
        if pending is not None or len(self._trials) >= self._experiment.limits.max_trials or self._exhausted:
            return pending
        suggested = self._suggester.ask()
        if isinstance(suggested, Wait):
            assert self._running, "the suggester waits for trials, but none runs"
            return None
        if isinstance(suggested, Exhausted):
            self._exhausted = True
            return None
        return self._new_trial(len(self._trials), suggested, time.time())

    def _new_trial(self, number: int, values: dict[str, Value], started: float) -> Trial:
        name = f"{self._experiment.name}-{number:04}"
        folder = str(self._folder / "trials" / name)
        return Trial(number=number, name=name, values=values, state="running", started=started, folder=folder)

    def _run(self, trial: Trial) -> None:
        folder = Path(trial.folder)
        trial = replace(trial, state="running", started=time.time())
        self._trials[trial.number] = trial
        self._journal.append(started_event(trial))
        empty_folder(folder)
        slot = min(set(range(self._experiment.limits.parallel)) - {each.slot for each in self._running.values()})
        command = self._commands.trial(folder, name=trial.name, values=trial.values, slot=slot)
        self._running[trial.number] = RunningTrial(self._experiment, command, folder, slot)

    def _record(self, trial: Trial, reports: list[float]) -> None:
        """Write down how a trial ended, then act on it."""
        kept = reports if self._median is not None and trial.state == "succeeded" else []
        self._journal.append(ended_event(trial, kept))
        self._take(trial, kept)

    def _take(self, trial: Trial, reports: list[float]) -> None:
        self._trials[trial.number] = trial
        self._reports[trial.number] = reports
        value = trial.value(self._experiment.objective) if trial.state == "succeeded" else None
        self._suggester.tell(trial.number, value)

    def _finish(self, end: End) -> None:
        self._journal.append(over_event(end, time.time()))
        self._journal.close()
        self._end = end

    def _snapshot(self) -> Snapshot:
        trials = [
            self._running[number].look(trial) if number in self._running else trial
            for number, trial in sorted(self._trials.items())
        ]
        notes = (*self._commands.notes, *self._suggester.notes)
        return Snapshot(trials=tuple(trials), started=self._started, end=self._end, notes=notes)


def _is_repeated(suggested: Suggestion, values: Mapping[str, Value]) -> bool:
    """Return whether a suggestion is the one noted, but for digits that another number of threads may change."""
    return (
        isinstance(suggested, dict)
        and suggested.keys() == values.keys()
        and all(
            value == values[name]
            or (isinstance(value, float) and math.isclose(value, float(values[name]), rel_tol=1e-6))
            for name, value in suggested.items()
        )
    )
