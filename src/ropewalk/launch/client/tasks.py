"""What the server tells of a run, as the steps that a person knows: not the drivers and nodes that run them."""

import datetime
import time
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

from ropewalk.launch import steps
from ropewalk.launch.steps import Step

PENDING, RUNNING, PAUSED = "PENDING", "RUNNING", "PAUSED"
SUCCEEDED, FAILED, CANCELED = "SUCCEEDED", "FAILED", "CANCELED"
ENDED = {SUCCEEDED, FAILED, CANCELED, "SKIPPED"}
_STATES = {
    PENDING: steps.WAITING,
    RUNNING: steps.RUNNING,
    PAUSED: steps.RUNNING,
    "CANCELING": steps.RUNNING,
    SUCCEEDED: steps.SUCCEEDED,
    "SKIPPED": steps.SKIPPED,
    FAILED: steps.FAILED,
    CANCELED: steps.INTERRUPTED,
}
_WORST_FIRST = (steps.FAILED, steps.INTERRUPTED, steps.RUNNING, steps.WAITING, steps.SUCCEEDED, steps.SKIPPED)
_EXECUTOR = "executor"
_DRIVER = "-driver"
_TEMPLATES = ("system-container-impl", "retry-system-container-impl")
"""Of the pods that run a step's code (backend/src/v2/compiler/argocompiler/container.go)."""


def task_names(spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the tasks of a compiled pipeline that run something, at every level."""
    return list(dict.fromkeys(name for name, _ in leaves(spec)))


def leaves(spec: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each task of a compiled pipeline that runs something with its component, each after those it needs."""
    yield from _leaves(spec["root"].get("dag", {}), spec.get("components", {}))


def read_steps(run: Mapping[str, Any], names: Iterable[str], *, ahead: float) -> list[Step]:
    """Return the steps of a run, in the order of `names`; what those do not name comes last.

    A step that runs several times, in a loop, is told as one: failed when one of its runs has failed, running while
    one of them runs.

    Args:
        run: The answer of the API.
        names: Names of the pipeline's tasks; empty: take all that the run tells of.
        ahead: Seconds by which the server's clock is ahead of ours.
    """
    known = list(names)
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in known}
    for detail in _details(run):
        name = str(detail.get("display_name", ""))
        if name in found:
            found[name].append(detail)
        elif not known and not _is_machinery(detail):
            found[name] = [detail]
    read = [_step(name, details, ahead) for name, details in found.items()]
    for step in read:
        if step.state == steps.WAITING and run.get("state") in ENDED:
            step.state = steps.SKIPPED
    return read


def pods(run: Mapping[str, Any], task: str, *, failed: bool) -> list[str]:
    """Return the nodes that ran the code of `task`, the latest first: only those that failed, if `failed`."""
    by_node = {detail.get("pod_name") or detail.get("task_id"): detail for detail in _details(run)}
    found = [
        executor
        for detail in _details(run)
        if detail.get("display_name") == task
        for executor in _executors(detail, by_node) or [detail]
    ]
    chosen = [detail for detail in found if not failed or detail.get("state") == FAILED]
    chosen.sort(key=lambda detail: str(detail.get("start_time", "")), reverse=True)
    return [str(detail["pod_name"]) for detail in chosen if detail.get("pod_name")]


def pod_names(node: str) -> list[str]:
    """Return what the pod of a node may be called: with its template in the middle, as Argo does it, or as the node."""
    workflow, _, number = node.rpartition("-")
    return [*(f"{workflow}-{template}-{number}" for template in _TEMPLATES), node]


def seconds_since_epoch(text: str) -> float | None:
    """Return a time of the API, None when there is none; the server writes year 1970 or 1 for "not yet"."""
    if not text or text.startswith(("0001-", "1970-")):
        return None
    return datetime.datetime.fromisoformat(text).timestamp()


def _leaves(dag: Mapping[str, Any], components: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    tasks = dag.get("tasks", {})
    order = TopologicalSorter({name: task.get("dependentTasks", []) for name, task in tasks.items()})
    for name in order.static_order():
        component = components.get(tasks[name]["componentRef"]["name"], {})
        if "dag" in component:
            yield from _leaves(component["dag"], components)
        else:
            yield name, component


def _details(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (run.get("run_details") or {}).get("task_details") or []


def _executors(detail: Mapping[str, Any], by_node: Mapping[Any, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the nodes below one that ran its code: the attempts, where it was tried several times.

    Only executors are gone down to: the children of an executor are also what comes after it in the graph.
    """
    below = [
        by_node[child["pod_name"]] for child in detail.get("child_tasks") or [] if child.get("pod_name") in by_node
    ]
    executors = [child for child in below if str(child.get("display_name", "")).startswith(_EXECUTOR)]
    return [last for executor in executors for last in _executors(executor, by_node) or [executor]]


def _is_machinery(detail: Mapping[str, Any]) -> bool:
    name = str(detail.get("display_name", ""))
    whole = name == detail.get("task_id")
    return whole or name.startswith((_EXECUTOR, "root", "iteration")) or name.endswith(_DRIVER)


def _step(name: str, details: list[Mapping[str, Any]], ahead: float) -> Step:
    step = Step(task=name)
    if not details:
        return step
    states = [_STATES.get(str(detail.get("state", "")), steps.WAITING) for detail in details]
    step.state = next(state for state in _WORST_FIRST if state in states)
    begun = [at for detail in details if (at := seconds_since_epoch(detail.get("start_time", "")))]
    ended = [at for detail in details if (at := seconds_since_epoch(detail.get("end_time", "")))]
    if begun and step.state != steps.WAITING:
        step.started = min(min(begun) - ahead, time.time())  # the server's times have whole seconds
        if step.state != steps.RUNNING:
            step.seconds = max(0.0, max(ended, default=min(begun)) - min(begun))
    step.error = next((str(detail["error"].get("message", "")) for detail in details if detail.get("error")), "")
    if len(details) > 1:
        done = sum(state in (steps.SUCCEEDED, steps.SKIPPED) for state in states)
        step.last_line = f"{done} of {len(details)} are done"
    return step
