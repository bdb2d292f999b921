"""The pods behind a resource: what holds them up, what the first one prints, and which one failed first."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.cluster.connection import Cluster
from ropewalk.cluster.launch import StalledError
from ropewalk.cluster.logs import FollowedLog, before_report, first_traceback
from ropewalk.cluster.resource import FAILED, RUNNING, SUCCEEDED, State

_BLOCKING = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
}
"""Reasons for which a container waits that seldom pass by themselves; the kubelet goes on trying, though."""
_TAIL_READ = 400
_TAIL_SHOWN = 20
_EVENTS_SHOWN = 5
_OTHERS_SHOWN = 8


@dataclass(frozen=True, kw_only=True, order=True)
class _Failure:
    finished: str
    rank: str
    pod: str
    reason: str
    exit_code: int | None
    message: str
    lines: list[str]

    def __str__(self) -> str:
        code = f"exit code {self.exit_code}" if self.exit_code is not None else "no exit code"
        detail = f"{self.reason}: {self.message}" if self.message else self.reason
        advice = " It needs more memory: raise `memory`, or lower the batch size." if self.reason == "OOMKilled" else ""
        return f"rank {self.rank} (pod {self.pod}), {code}, {detail}, at {self.finished}.{advice}"


class PodGroup:
    """Observes the pods of one job; an `Observer`."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        name: str,
        labels: Mapping[str, str],
        rank_label: str,
        container: str,
        start_timeout: float,
        on_line: Callable[[str], None],
        on_notice: Callable[[str], None],
    ) -> None:
        """Observe the pods of the resource `name`.

        Args:
            cluster: Where they are.
            name: Of the resource that they belong to.
            labels: What its pods have and no others.
            rank_label: Label with a pod's number; the log of number 0 is followed.
            container: The one in each pod that does the work.
            start_timeout: Seconds after which a job that waits, and is not suspended, is given up.
            on_line: Called with each line of number 0, from another thread.
            on_notice: Called with what a person should know while the job waits.
        """
        self._cluster, self._name, self._labels = cluster, name, labels
        self._rank_label, self._container = rank_label, container
        self._on_line, self._on_notice = on_line, on_notice
        self._start_timeout = start_timeout
        self._waiting_since = time.monotonic()
        self._held_up: dict[tuple[str, str], float] = {}
        self._noticed: set[str] = set()
        self._failures: dict[tuple[str, str], _Failure] = {}
        self._log: FollowedLog | None = None
        self._followed = ""
        self._conditions: list[Mapping[str, Any]] = []

    def look(self, resource: Mapping[str, Any], state: State) -> None:
        """Follow the log, keep failures, say what is held up.

        Raises:
            StalledError: Pods have been held up for too long.
        """
        self._conditions = resource.get("status", {}).get("conditions", [])
        pods = self._cluster.pods(self._labels)
        self._keep_failures(pods)
        self._follow_first(pods)
        if state.phase in (SUCCEEDED, FAILED):
            if self._log:
                self._log.finish(self._cluster.patience.log_end)
            return
        self._say_what_holds_up(pods)
        started = any(pod["status"].get("phase") == "Running" for pod in pods)
        if started or state.phase == RUNNING or state.reason == "Suspended":
            self._waiting_since = time.monotonic()
        elif time.monotonic() - self._waiting_since > self._start_timeout:
            raise StalledError(f"{self._name} has not started within {self._start_timeout:.0f} s.\n{self.explain()}")

    def explain(self) -> str:
        """Return the first failure with its traceback and last lines; without one, conditions, pods and events."""
        failures = sorted(self._failures.values())
        if not failures:
            return self._circumstances()
        first, others = failures[0], failures[1:]
        said = before_report(first.lines)
        parts = [f"First to fail: {first}", *first_traceback(first.lines), f"Last lines of rank {first.rank}:"]
        parts += [f"  {line}" for line in said[-_TAIL_SHOWN:]] or ["  (it printed nothing, or its log is gone)"]
        return "\n".join(parts + [f"Then: {failure}" for failure in others[:_OTHERS_SHOWN]])

    def close(self) -> None:
        """Pass on nothing more."""
        if self._log:
            self._log.stop()

    def _follow_first(self, pods: list[dict[str, Any]]) -> None:
        firsts = [pod for pod in pods if self._rank(pod) == "0" and self._has_begun(pod)]
        if not firsts:
            return
        newest = max(firsts, key=lambda pod: pod["metadata"]["creationTimestamp"])
        if newest["metadata"]["uid"] == self._followed:
            return
        if self._log:
            self._log.finish(self._cluster.patience.log_end)
            self._on_notice(f"Rank 0 was started again, in pod {newest['metadata']['name']}.")
        self._followed = newest["metadata"]["uid"]
        self._log = FollowedLog(self._cluster, newest["metadata"]["name"], self._container, self._on_line)

    def _keep_failures(self, pods: list[dict[str, Any]]) -> None:
        """Fetch the last lines of whatever has failed as soon as it is seen: the pod may be gone in a moment."""
        for pod in pods:
            status = self._status(pod)
            for place, previous in (("state", False), ("lastState", True)):
                ended = status.get(place, {}).get("terminated")
                if ended and ended["exitCode"] != 0:
                    self._keep(pod, ended, previous=previous)
            if pod["status"].get("phase") == "Failed" and not status.get("state", {}).get("terminated"):
                self._keep(pod, pod["status"], previous=False)

    def _keep(self, pod: Mapping[str, Any], ended: Mapping[str, Any], *, previous: bool) -> None:
        finished = ended.get("finishedAt") or pod["metadata"].get("deletionTimestamp") or "an unknown time"
        key = (pod["metadata"]["uid"], finished)
        if key in self._failures:
            return
        name = pod["metadata"]["name"]
        lines = self._cluster.log_tail(name, self._container, lines=_TAIL_READ, previous=previous)
        self._failures[key] = _Failure(
            finished=finished,
            rank=self._rank(pod),
            pod=name,
            reason=ended.get("reason") or "Error",
            exit_code=ended.get("exitCode"),
            message=(ended.get("message") or "").strip(),
            lines=lines,
        )

    def _say_what_holds_up(self, pods: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        reasons = {(pod["metadata"]["name"], reason): detail for pod in pods for reason, detail in self._waits(pod)}
        self._held_up = {key: self._held_up.get(key, now) for key in reasons}
        for (pod, reason), since in self._held_up.items():
            # One line for a reason: hundreds of pods may wait for the same.
            urgent = reason in _BLOCKING or now - since >= self._cluster.patience.notice
            if urgent and reason not in self._noticed:
                self._noticed.add(reason)
                self._on_notice(f"Pod {pod} waits: {reason}: {reasons[pod, reason]}")
            if reason in _BLOCKING and now - since >= self._cluster.patience.blocked:
                raise StalledError(
                    f"Pod {pod} of {self._name} cannot start: {reason}: {reasons[pod, reason]}\n{self.explain()}"
                )

    def _waits(self, pod: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return (reason, detail) of what keeps a pod from running."""
        waits = [
            (condition.get("reason") or "Unschedulable", condition.get("message") or "no reason given")
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "PodScheduled" and condition["status"] == "False"
        ]
        waiting = self._status(pod).get("state", {}).get("waiting", {})
        if waiting.get("reason") in _BLOCKING | {"CrashLoopBackOff"}:
            # The kubelet alternates between the two; for a person it is one thing.
            reason = "ImagePullBackOff" if waiting["reason"] == "ErrImagePull" else waiting["reason"]
            waits.append((reason, waiting.get("message") or "no reason given"))
        return waits

    def _circumstances(self) -> str:
        """Return the conditions, the pods and the latest events."""
        parts = [
            f"Condition {condition['type']}={condition['status']}: {condition.get('message', '')}"
            for condition in self._conditions
        ]
        pods = self._cluster.pods(self._labels)
        parts += [f"Pod {pod['metadata']['name']} is {pod['status'].get('phase', 'unknown')}." for pod in pods]
        parts += [] if pods else ["It has no pods."]
        for name in [self._name, *(pod["metadata"]["name"] for pod in pods[:3])]:
            for event in self._cluster.events(name)[-_EVENTS_SHOWN:]:
                parts.append(f"Event of {name}: {event.get('reason', '')}: {event.get('message', '').strip()}")
        return "\n".join(parts)

    def _rank(self, pod: Mapping[str, Any]) -> str:
        return str(pod["metadata"].get("labels", {}).get(self._rank_label, "?"))

    def _status(self, pod: Mapping[str, Any]) -> Mapping[str, Any]:
        statuses = pod["status"].get("containerStatuses") or []
        return next((status for status in statuses if status["name"] == self._container), {})

    def _has_begun(self, pod: Mapping[str, Any]) -> bool:
        state = self._status(pod).get("state", {})
        return "running" in state or "terminated" in state
