"""A custom resource from its plan to its end: created or adopted, watched, and deleted by policy."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ropewalk.cluster.connection import Cluster
from ropewalk.cluster.owner import workflow_owner
from ropewalk.cluster.resource import FAILED, SPEC_HASH, SUCCEEDED, Plan, State
from ropewalk.errors import ClusterError
from ropewalk.progress import say

ALWAYS = "always"
ON_SUCCESS = "on_success"
NEVER = "never"
CLEANUP = (ALWAYS, ON_SUCCESS, NEVER)
"""When a resource that has ended is deleted. One that has not ended is deleted whenever its step is stopped."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A change of a resource that is being watched."""

    name: str
    """Of the resource."""
    state: State
    """How far it is now."""
    seconds: float
    """Since the watching began."""


class StalledError(ClusterError):
    """It would not start however long one waits: it is deleted, so that it does not start when nobody looks."""


class Observer(Protocol):
    """Looks at what a resource consists of, such as its pods, while it is watched."""

    def look(self, resource: Mapping[str, Any], state: State) -> None:
        """Take in what is there now, all of it when `state` is the last; raise StalledError if waiting is in vain."""

    def explain(self) -> str:
        """Return what a person needs to know when the resource has failed or vanished."""

    def close(self) -> None:
        """Stop at once whatever goes on in the background."""


@contextmanager
def finished(
    cluster: Cluster,
    plan: Plan,
    *,
    observer: Observer,
    on_progress: Callable[[Progress], None],
    cleanup: str = ON_SUCCESS,
) -> Iterator[Mapping[str, Any]]:
    """Create or adopt what is planned, wait until it has succeeded, and yield it; the block takes its results.

    Stopped by SIGTERM or ctrl-C before it has ended, it is deleted with one request; given up on, it is deleted. When
    the API server is away for longer than `Patience.unreachable`, or this process is killed, it goes on, and the next
    attempt adopts it.

    Args:
        cluster: Where.
        plan: What.
        observer: Looks at its parts at every poll; closed at the end.
        on_progress: Called when its state changes.
        cleanup: One of CLEANUP: whether it is deleted when it has ended (and the block, too).

    Raises:
        ClusterError: It failed, is refused, was deleted by someone else, or one of the same name has another spec.
        ServiceError: The API server does not answer.
    """
    with _terminated_like_any_exit():
        try:
            with _deleted_when_interrupted(cluster, plan):
                resource, state = _end_of(cluster, plan, attach(cluster, plan), observer, on_progress)
            try:
                observer.look(resource, state)
                _refuse_failure(plan, state, observer)
                yield resource
            except BaseException as error:
                if cleanup == ALWAYS:
                    _delete_at_once(cluster, plan, error)
                raise
        finally:
            observer.close()
    # The work is done and its results are taken: a server that is away now must not make a failure of it.
    if cleanup != NEVER and not cluster.delete_at_once(plan.type, plan.name):
        say(still_there(cluster, plan))


def attach(cluster: Cluster, plan: Plan) -> dict[str, Any]:
    """Return the resource that was planned: a new one, or that of an earlier attempt with the same spec.

    One that failed in an earlier attempt is replaced, as is one that is being deleted, once it is gone.

    Raises:
        ClusterError: One of the same name has another spec, or does not go away.
    """
    return create_or_adopt(cluster, plan, usable=lambda existing: plan.type.read_state(existing).phase != FAILED)


def create_or_adopt(
    cluster: Cluster, plan: Plan, *, usable: Callable[[Mapping[str, Any]], bool] = lambda existing: True
) -> dict[str, Any]:
    """Return the resource that was planned: a new one, or that of an earlier attempt.

    Args:
        cluster: Where.
        plan: What.
        usable: Whether one that is there is taken; otherwise it is replaced, as one that is being deleted is.

    Raises:
        ClusterError: One of the same name has another spec, or does not go away.
    """
    owners = workflow_owner(cluster)
    while True:
        created = cluster.create(plan, owners)
        if created:
            return created
        existing = cluster.get(plan.type, plan.name)
        if existing is None:
            time.sleep(cluster.patience.shortest_poll)
            continue
        if existing["metadata"].get("deletionTimestamp"):
            _wait_until_gone(cluster, plan, existing)
            continue
        _refuse_another(plan, existing, cluster.namespace)
        if usable(existing):
            return existing
        cluster.delete(plan.type, plan.name, uid=existing["metadata"]["uid"])
        _wait_until_gone(cluster, plan, existing)


def _refuse_another(plan: Plan, existing: Mapping[str, Any], namespace: str) -> None:
    found = existing["metadata"].get("annotations", {}).get(SPEC_HASH, "none")
    if found == plan.spec_hash:
        return
    raise ClusterError(
        f"{plan.type.kind} {plan.name} is there already with another spec: its hash is {found}, that of this step "
        f"{plan.spec_hash}. It is left as it is. Look at it, and if it is not needed, delete it and run again: "
        f"kubectl --namespace {namespace} delete {plan.type.plural} {plan.name}"
    )


def _wait_until_gone(cluster: Cluster, plan: Plan, resource: Mapping[str, Any]) -> None:
    deadline = time.monotonic() + cluster.patience.deletion
    uid, current = resource["metadata"]["uid"], resource
    while time.monotonic() < deadline:
        cluster.wait_for_change(plan.type, current, cluster.patience.longest_poll)
        found = cluster.get(plan.type, plan.name)
        if found is None or found["metadata"]["uid"] != uid:
            return
        current = found
        time.sleep(cluster.patience.shortest_poll)
    held = ", ".join(current["metadata"].get("finalizers", [])) or "none"
    raise ClusterError(
        f"{plan.type.kind} {plan.name} of an earlier attempt is still being deleted after "
        f"{cluster.patience.deletion:.0f} s (finalizers: {held}). See why: "
        f"kubectl --namespace {cluster.namespace} describe {plan.type.plural} {plan.name}"
    )


def _end_of(
    cluster: Cluster,
    plan: Plan,
    resource: Mapping[str, Any],
    observer: Observer,
    on_progress: Callable[[Progress], None],
) -> tuple[Mapping[str, Any], State]:
    """Watch until it has succeeded or failed."""
    uid, begin, shown = resource["metadata"]["uid"], time.monotonic(), None
    while True:
        looked = time.monotonic()
        state = plan.type.read_state(resource)
        if state != shown:
            on_progress(Progress(name=plan.name, state=state, seconds=looked - begin))
            shown = state
        if state.phase in (SUCCEEDED, FAILED):
            return resource, state
        try:
            observer.look(resource, state)
        except StalledError:
            cluster.delete(plan.type, plan.name, uid=uid)
            raise
        cluster.wait_for_change(plan.type, resource, cluster.patience.longest_poll)
        time.sleep(max(0.0, cluster.patience.shortest_poll - (time.monotonic() - looked)))
        found = cluster.get(plan.type, plan.name)
        if found is None or found["metadata"]["uid"] != uid or found["metadata"].get("deletionTimestamp"):
            raise ClusterError(
                f"{plan.type.kind} {plan.name} was deleted by someone else while it was {state.phase}. Run the step "
                f"again to start a new one.\n{observer.explain()}".rstrip()
            )
        resource = found


def _refuse_failure(plan: Plan, state: State, observer: Observer) -> None:
    if state.phase == FAILED:
        raise ClusterError(f"{plan.type.kind} {plan.name} {state}\n{observer.explain()}".rstrip())


@contextmanager
def _deleted_when_interrupted(cluster: Cluster, plan: Plan) -> Iterator[None]:
    """Delete the resource when the block is stopped from outside; whether it is there yet, only the server knows."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception):
            _delete_at_once(cluster, plan, error)
        raise


def _delete_at_once(cluster: Cluster, plan: Plan, error: BaseException) -> None:
    if not cluster.delete_at_once(plan.type, plan.name):
        error.add_note(still_there(cluster, plan))


def still_there(cluster: Cluster, plan: Plan) -> str:
    """Return what to say of a resource that could not be deleted."""
    return (
        f"{plan.type.kind} {plan.name} could not be deleted. See whether it still runs: "
        f"kubectl --namespace {cluster.namespace} get {plan.type.plural} {plan.name}"
    )


@contextmanager
def _terminated_like_any_exit() -> Iterator[None]:
    """Let SIGTERM, by which Kubernetes stops a pod, unwind the stack, so that nothing runs on unwatched."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
