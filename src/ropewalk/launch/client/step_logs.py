"""Which step's log is meant, and how it is printed."""

from collections.abc import Callable, Mapping
from typing import Any

from ropewalk.errors import ConfigError, RunError, nearest
from ropewalk.launch import steps
from ropewalk.launch.client.logs import log_chunks, log_tail
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.server_runs import run_url, tasks_of
from ropewalk.launch.client.tasks import pods, read_steps


def choose_node(server: Server, run: Mapping[str, Any], task: str) -> str:
    """Return the node of `run` whose log is meant: of `task`, or of the step that failed or else runs now.

    Raises:
        ConfigError: There is no such task, or none to choose.
    """
    found = read_steps(run, tasks_of(server, run), ahead=0.0)
    begun = [step.task for step in found if step.state not in (steps.WAITING, steps.SKIPPED)]
    states = {step.task: step.state for step in found}
    chosen = task or next((name for name in begun if states[name] == steps.FAILED), "")
    chosen = chosen or next((name for name in begun if states[name] == steps.RUNNING), "")
    told = f"Steps with a log: {', '.join(begun) or 'none yet'}."
    if not chosen:
        raise ConfigError(f"No step of the run {run['run_id']} failed or runs now: name one. {told}")
    nodes = pods(run, chosen, failed=states.get(chosen) == steps.FAILED)
    if chosen not in states or not nodes:
        raise ConfigError(f"The run {run['run_id']} has no log of a step {chosen!r}.{nearest(chosen, states)} {told}")
    return nodes[0]


def print_log(
    server: Server, run: Mapping[str, Any], node: str, *, tail: int | None, write: Callable[[str], None]
) -> None:
    """Print the log of a node as it comes, or its last `tail` lines.

    Raises:
        RunError: The server has no log of it.
        ServiceError: The connection broke off.
    """
    if tail is None:
        pieces = log_chunks(server, run, node)
    else:
        text = log_tail(server, run, node)
        pieces = None if text is None else iter(["".join(text.splitlines(keepends=True)[-tail:])])
    if pieces is None:
        raise RunError(missing_log(server, run, node))
    for piece in pieces:
        write(piece)


def missing_log(server: Server, run: Mapping[str, Any], node: str) -> str:
    """Return where else to look for a log that the server does not have."""
    where = f" --namespace {server.namespace}" if server.namespace else ""
    return (
        f"The server has no log of {node}: its pod is gone, and nothing was archived. Look at "
        f"{run_url(server, str(run['run_id']))}, or try kubectl logs{where} {node} --container main."
    )
