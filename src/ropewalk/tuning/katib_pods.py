"""The pods of an experiment's trials: what they print, since when they are silent, and whether metrics are collected.

Katib redirects a trial's output to a file, and its collector beside the trial prints what it reads there.
"""

import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from ropewalk.cluster.connection import Cluster
from ropewalk.cluster.launch import StalledError
from ropewalk.cluster.logs import FollowedLog
from ropewalk.cluster.refusals import missing_injection
from ropewalk.errors import DataError
from ropewalk.tuning.engine import OVER, Trial
from ropewalk.tuning.filters import LineReader
from ropewalk.tuning.katib_config import ALL_LOGS, FAILED_LOGS, KatibConfig
from ropewalk.tuning.katib_resources import COLLECTOR, EXPERIMENT_LABEL
from ropewalk.tuning.metrics import Observation, Series
from ropewalk.tuning.spec import Experiment

_KLOG = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ [\w.-]+:\d+\] ")
"""How the collector's lines begin (k8s.io/klog)."""
_COLLECTORS_OWN = "Trial Name: "
_MASTER = {"training.kubeflow.org/job-role": "master"}
_PRIMARY_LABELS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("MPIJob", "PyTorchJob", "TFJob", "XGBoostJob"), _MASTER),
    "TrainJob": {"jobset.sigs.k8s.io/replicatedjob-name": "node", "batch.kubernetes.io/job-completion-index": "0"},
}
"""Katib's defaults of primaryPodLabels (experiment_defaults.go)."""


class _TrialLog:
    """What one trial has printed so far."""

    def __init__(self, experiment: Experiment, cluster: Cluster, pod: str, container: str, lines: int) -> None:
        self._reader = LineReader(experiment.metrics, experiment.objective.metrics)
        self._series = Series(experiment.objective.metrics)
        self._heard = time.monotonic()
        self._cluster = cluster
        self.tail: deque[str] = deque(maxlen=lines)
        self.stopped = ""
        """Why we ended the trial, "" when we did not."""
        self._prints_itself = experiment.metrics.kind == "File"
        # Last: each begins a thread that calls back at once.
        self._logs = [FollowedLog(cluster, pod, COLLECTOR, self._take_collected)]
        if self._prints_itself:
            self._logs.append(FollowedLog(cluster, pod, container, self._take_printed))

    @property
    def silent_seconds(self) -> float:
        return time.monotonic() - self._heard

    def observations(self) -> dict[str, Observation]:
        return self._series.observations()

    def finish(self) -> None:
        for log in self._logs:
            log.finish(self._cluster.patience.log_end)

    def stop(self) -> None:
        for log in self._logs:
            log.stop()

    def _take_printed(self, line: str) -> None:
        self._heard = time.monotonic()
        self.tail.append(line)

    def _take_collected(self, line: str) -> None:
        text = _KLOG.sub("", line, count=1)
        if text.startswith(_COLLECTORS_OWN):
            return
        self._heard = time.monotonic()
        if not self._prints_itself:
            self.tail.append(text)
        try:
            self._series.add(self._reader.read(text))
        except DataError:
            # Lines of the collector's own are no JSON; what the trial's are worth, Katib judges.
            return


class TrialPods:
    """Follows the trials of one experiment."""

    def __init__(self, experiment: Experiment, cluster: Cluster, config: KatibConfig) -> None:
        """Follow nothing yet."""
        self._experiment, self._cluster, self._config = experiment, cluster, config
        self._logs: dict[str, _TrialLog] = {}
        self._tails: dict[str, tuple[str, ...]] = {}
        self._reasons: dict[str, str] = {}
        self._ended: dict[str, float] = {}
        self.running = 0
        """Pods of trials that run."""

    def look(self, trials: Iterable[Trial]) -> None:
        """Take in what the pods of `trials` do now, and end those that have been silent for too long.

        Raises:
            StalledError: A trial has ended well, but nothing collects its metrics.
        """
        trials = list(trials)
        pods = self._cluster.pods({EXPERIMENT_LABEL: self._experiment.name})
        # The service that suggests has pods with the same label.
        starts = tuple(f"{trial.name}-" for trial in trials)
        pods = [pod for pod in pods if pod["metadata"]["name"].startswith(starts)]
        self.running = sum(pod["status"].get("phase") == "Running" for pod in pods)
        for trial in trials:
            if trial.name in self._tails:
                continue
            pod = self._primary(trial.name, pods)
            if pod is not None:
                self._follow(trial, pod)
                self._refuse_uncollected(trial, pod)
            self._end_when_silent(trial, pod)
            if trial.state in OVER:
                self._finish(trial, pod)

    def observations(self, trial: Trial) -> dict[str, Observation]:
        """Return what a trial that runs has reported so far, by what it printed."""
        log = self._logs.get(trial.name)
        return log.observations() if log else dict(trial.observations)

    def tail(self, trial: Trial) -> tuple[str, ...]:
        """Return the last lines of a trial that has ended, if they are to be kept."""
        return self._tails.get(trial.name, ())

    def reason(self, trial: Trial) -> str:
        """Return why we ended a trial, "" when we did not."""
        log = self._logs.get(trial.name)
        return log.stopped if log else self._reasons.get(trial.name, "")

    def close(self) -> None:
        """Follow nothing any more."""
        for log in self._logs.values():
            log.stop()

    def _follow(self, trial: Trial, pod: Mapping[str, Any]) -> None:
        if trial.name in self._logs or not _has_collector(pod) or not _has_begun(pod, COLLECTOR):
            return
        container = self._experiment.trial.primary_container
        name = pod["metadata"]["name"]
        self._logs[trial.name] = _TrialLog(self._experiment, self._cluster, name, container, self._config.log_lines)

    def _finish(self, trial: Trial, pod: Mapping[str, Any] | None) -> None:
        log = self._logs.pop(trial.name, None)
        if log is not None:
            log.finish()
            self._reasons[trial.name] = log.stopped
        retain = self._config.retain
        if retain == ALL_LOGS or (retain == FAILED_LOGS and trial.state == "failed"):
            lines = log.tail if log is not None else self._last_lines(pod)
            self._tails[trial.name] = (*lines, *self._how_ended(pod))[-self._config.log_lines :]
        else:
            self._tails[trial.name] = ()

    def _last_lines(self, pod: Mapping[str, Any] | None) -> list[str]:
        """Return the end of the log of a trial that was over before we saw it."""
        if pod is None:
            return []
        prints_itself = self._experiment.metrics.kind == "File" or not _has_collector(pod)
        container = self._experiment.trial.primary_container if prints_itself else COLLECTOR
        name = pod["metadata"]["name"]
        lines = self._cluster.log_tail(name, container, lines=self._config.log_lines, previous=False)
        return lines if prints_itself else [_KLOG.sub("", line, count=1) for line in lines]

    def _how_ended(self, pod: Mapping[str, Any] | None) -> tuple[str, ...]:
        ended = _status(pod or {}, self._experiment.trial.primary_container).get("state", {}).get("terminated") or {}
        if not ended.get("exitCode"):
            return ()
        return (f"[exit code {ended['exitCode']}, {ended.get('reason') or 'Error'}]",)

    def _refuse_uncollected(self, trial: Trial, pod: Mapping[str, Any]) -> None:
        """Refuse to wait for metrics that never come: Katib itself would look again for ever."""
        if trial.state in OVER or not _has_ended_well(pod, self._experiment.trial.primary_container):
            self._ended.pop(trial.name, None)
            return
        if not _has_collector(pod):
            found = f"pod {pod['metadata']['name']} of trial {trial.name} has ended well, but no container {COLLECTOR}"
            raise StalledError(missing_injection(self._cluster.namespace, found))
        since = self._ended.setdefault(trial.name, time.monotonic())
        if time.monotonic() - since > self._config.collect_seconds:
            raise StalledError(
                f"Trial {trial.name} has ended well {self._config.collect_seconds:.0f} s ago, but Katib has stored no "
                f"metrics of it. Look at its collector (kubectl --namespace {self._cluster.namespace} logs "
                f"{pod['metadata']['name']} --container {COLLECTOR}) and at katib-db-manager in Katib's namespace."
            )

    def _end_when_silent(self, trial: Trial, pod: Mapping[str, Any] | None) -> None:
        limit, log = self._experiment.limits.stall_seconds, self._logs.get(trial.name)
        if limit is None or log is None or pod is None or trial.state in OVER or log.stopped:
            return
        if log.silent_seconds > limit:
            # The Job allows no second pod, so that it fails, and the trial with it.
            log.stopped = f"it said nothing for stall_seconds={limit:g}"
            self._cluster.delete_pod(pod["metadata"]["name"])

    def _primary(self, trial: str, pods: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Return the trial's newest pod that has its metrics."""
        template = self._experiment.trial
        wanted = template.primary_labels or _PRIMARY_LABELS.get(str(template.manifest.get("kind")), {})
        own = [
            pod
            for pod in pods
            if pod["metadata"]["name"].startswith(f"{trial}-")
            and wanted.items() <= pod["metadata"].get("labels", {}).items()
        ]
        return max(own, key=lambda pod: pod["metadata"].get("creationTimestamp", ""), default=None)


def _has_collector(pod: Mapping[str, Any]) -> bool:
    spec = pod.get("spec", {})
    return any(each["name"] == COLLECTOR for each in [*spec.get("containers", []), *(spec.get("initContainers") or [])])


def _status(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((each for each in statuses if each["name"] == container), {})


def _has_begun(pod: Mapping[str, Any], container: str) -> bool:
    state = _status(pod, container).get("state", {})
    return "running" in state or "terminated" in state


def _has_ended_well(pod: Mapping[str, Any], container: str) -> bool:
    ended = _status(pod, container).get("state", {}).get("terminated")
    return bool(ended) and ended.get("exitCode") == 0
