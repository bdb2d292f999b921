"""Runs, moved on by each look at them: the states that a run and its tasks go through."""

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from kfp_server.refusal import PRECONDITION, Refusal

ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}


@dataclass(kw_only=True)
class Plan:
    """How the runs of a server go; a test changes it, also while they run."""

    outcomes: dict[str, str] = field(default_factory=dict)
    """State in which a task ends, by its name; SUCCEEDED for the rest."""
    held: set[str] = field(default_factory=set)
    """Tasks that go on running."""
    paused: bool = False
    """Whether runs are paused, as a debugger does it."""
    tasks_per_look: int = 1
    """How many tasks are begun or ended by one look at a run."""
    hold_cancel: bool = False
    """Whether a cancelled run stays CANCELING."""
    attempts: dict[str, int] = field(default_factory=dict)
    """How often a task's code was tried, where it is set to be tried again."""
    error: str = "main: Error (exit code 1)"
    """What the server tells of a task that failed."""


class Run:
    """One run: what was asked for, and how far it is."""

    def __init__(self, asked: dict[str, Any], *, run_id: str, spec: dict[str, Any], clock: Any) -> None:
        self.record = {
            **asked,
            "run_id": run_id,
            "storage_state": "AVAILABLE",
            "created_at": clock(),
            "scheduled_at": clock(),
            "state": "PENDING",
            "state_history": [],
        }
        self.spec = spec
        self._clock = clock
        self._workflow = f"{spec['pipelineInfo']['name'][:40]}-{run_id[:5]}"
        self.tasks = dict.fromkeys(task_names(spec), "")
        self._times: dict[str, list[str]] = {}
        self._enter("PENDING")

    @property
    def state(self) -> str:
        """The run's state."""
        return str(self.record["state"])

    def look(self, plan: Plan) -> dict[str, Any]:
        """Return the run with its tasks, and let it go on."""
        answer = {**self.record, "run_details": {"task_details": list(self._details(plan))}}
        self._go_on(plan)
        return answer

    def terminate(self) -> None:
        """Cancel it."""
        if self.state in ENDED:
            raise Refusal(PRECONDITION, f"Failed to terminate run {self.record['run_id']}: it has ended")
        self._enter("CANCELING")

    def retry(self) -> None:
        """Have what failed done again."""
        if self.state not in ("FAILED", "CANCELED"):
            raise Refusal(PRECONDITION, "Workflow must be Failed/Error to retry")
        self.record.pop("finished_at", None)
        for name, state in self.tasks.items():
            if state != "SUCCEEDED":
                self.tasks[name] = ""
                self._times.pop(name, None)
        self._enter("RUNNING")

    def pod(self, task: str, attempt: int | None = None) -> str:
        """Return the name of the pod that a task's code runs in, or that of one attempt."""
        template = "system-container-impl" if attempt is None else "retry-system-container-impl"
        return f"{self._workflow}-{template}-{_number(_executor(task, attempt))}"

    def task_of(self, pod: str) -> str | None:
        """Return the task that a pod belongs to."""
        return self._tasks_by(self.pod).get(pod)

    def archived_task_of(self, node: str) -> str | None:
        """Return the task that a node of the workflow belongs to: by these the archive finds logs."""
        return self._tasks_by(lambda task, attempt: self._node(_executor(task, attempt))).get(node)

    def _tasks_by(self, name: Callable[[str, int | None], str]) -> dict[str, str]:
        return {name(task, attempt): task for task in self.tasks for attempt in (None, 0, 1, 2)}

    def _go_on(self, plan: Plan) -> None:
        if self.state == "CANCELING" and not plan.hold_cancel:
            self._end("CANCELED")
        if self.state in ENDED or self.state == "CANCELING":
            return
        self._enter("PAUSED" if plan.paused else "RUNNING")
        for _ in range(0 if plan.paused else plan.tasks_per_look):
            self._go_on_a_task(plan)

    def _go_on_a_task(self, plan: Plan) -> None:
        running = next((name for name, state in self.tasks.items() if state == "RUNNING"), None)
        if running and running not in plan.held:
            self._move(running, plan.outcomes.get(running, "SUCCEEDED"))
        if "FAILED" in self.tasks.values():
            self._end("FAILED")
        elif not running:
            waiting = next((name for name, state in self.tasks.items() if not state), None)
            if waiting:
                self._move(waiting, "RUNNING")
            else:
                self._end("SUCCEEDED")

    def _move(self, task: str, state: str) -> None:
        self.tasks[task] = state
        self._times.setdefault(task, []).append(self._clock())

    def _end(self, state: str) -> None:
        if self.state not in ENDED:
            self.record["finished_at"] = self._clock()
            self._enter(state)

    def _enter(self, state: str) -> None:
        if self.state != state or not self.record["state_history"]:
            self.record["state"] = state
            self.record["state_history"].append({"update_time": self._clock(), "state": state})

    def _details(self, plan: Plan) -> Iterator[dict[str, Any]]:
        if self.state == "PENDING":
            return
        whole = self.state if self.state in ENDED else "RUNNING"
        yield self._detail(self._workflow, self._workflow, whole, [], ["root-driver", "root"])
        yield self._detail(self._node("root-driver"), "root-driver", "SUCCEEDED", [], [])
        yield self._detail(self._node("root"), "root", whole, [], [name for name, at in self.tasks.items() if at])
        for name, state in self.tasks.items():
            if state:
                times = self._times[name]
                yield self._detail(self._node(f"{name}-driver"), f"{name}-driver", "SUCCEEDED", times[:1], [])
                failed = {"error": {"code": 13, "message": plan.error}} if state == "FAILED" else {}
                yield self._detail(self._node(name), name, state, times, [_executor(name)]) | failed
                yield from (detail | failed for detail in self._executors(name, state, times, plan.attempts.get(name)))

    def _executors(self, name: str, state: str, times: list[str], attempts: int | None) -> Iterator[dict[str, Any]]:
        after = list(self.tasks)[list(self.tasks).index(name) + 1 :][:1]
        tried = [] if attempts is None else list(range(attempts))
        # In Argo's graph, what comes after a task hangs below its executor.
        below = [_executor(name, attempt) for attempt in tried] + [f"{next_one}-driver" for next_one in after]
        yield self._detail(self._node(_executor(name)), "executor", state, times, below)
        for attempt in tried:
            reached = state if attempt == tried[-1] else "FAILED"
            begun = [f"{times[0][:-1]}.{attempt}Z", *times[1:]]
            node = self._node(_executor(name, attempt))
            yield self._detail(node, f"executor({attempt})", reached, begun, [])

    def _detail(self, node: str, name: str, state: str, times: list[str], children: list[str]) -> dict[str, Any]:
        detail = {
            "run_id": self.record["run_id"],
            "task_id": node,
            "display_name": name,
            "create_time": times[0] if times else self.record["created_at"],
            "state": state,
            "pod_name": node,
        }
        if times:
            detail["start_time"] = times[0]
        if len(times) > 1:
            detail["end_time"] = times[-1]
        if children:
            detail["child_tasks"] = [{"pod_name": self._node(child)} for child in children]
        return detail

    def _node(self, name: str) -> str:
        return f"{self._workflow}-{_number(name)}"


def _executor(task: str, attempt: int | None = None) -> str:
    return f"{task}/executor" if attempt is None else f"{task}/executor({attempt})"


def task_names(spec: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the tasks of a pipeline, at every level, that run something, each after what it needs."""
    yield from _leaves(spec["root"]["dag"], spec.get("components", {}))


def _leaves(dag: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    tasks = dag["tasks"]
    for name in TopologicalSorter(
        {name: task.get("dependentTasks", []) for name, task in tasks.items()}
    ).static_order():
        component = components[tasks[name]["componentRef"]["name"]]
        if "dag" in component:
            yield from _leaves(component["dag"], components)
        else:
            yield name


def utc(moment: float) -> str:
    """Return a time as the server writes it."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
