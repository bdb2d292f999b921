"""Follows a run to its end, and tells a person or a program how it did."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ropewalk.errors import RopewalkError
from ropewalk.launch import steps
from ropewalk.launch.client.follow import follow
from ropewalk.launch.client.logs import log_tail
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.server_runs import run_url, seconds_of, spec_of
from ropewalk.launch.client.step_logs import missing_log
from ropewalk.launch.client.tasks import FAILED, SUCCEEDED, other_errors, pods, read_steps, task_names
from ropewalk.launch.console import open_console
from ropewalk.launch.output import failure_tail, own_lines
from ropewalk.launch.progress import choose_progress
from ropewalk.launch.steps import Step

_STYLES = {steps.SUCCEEDED: "green", steps.FAILED: "red", steps.INTERRUPTED: "yellow"}


def conclude(
    server: Server,
    run_id: str,
    *,
    timeout: float | None,
    reports: Path | None,
    as_json: bool,
    notice: Callable[[str], None],
) -> int:
    """Follow a run to its end, print how it did, and return the exit code: 0 only when it succeeded.

    Args:
        server: Where it runs.
        run_id: Which run.
        timeout: Seconds to wait at most; None is as long as it takes.
        reports: Folder for the pages that it made; None: they are not fetched.
        as_json: Print the result as JSON to standard output, and all else to standard error.
        notice: Called with a line when something is to be told at once.

    Raises:
        WaitTimeoutError, RunError, ClusterError, ServiceError: As `follow`.
    """
    console = Console(stderr=True, highlight=False) if as_json else open_console()
    spec = spec_of(server, server.get(f"/runs/{run_id}") or {})
    names = task_names(spec) if spec else []
    with choose_progress(console) as progress:
        run = follow(server, run_id, names, progress=progress, notice=notice, timeout=timeout)
    found = read_steps(run, names, ahead=0.0)
    failures = [_failure(server, run, step) for step in found if step.state == steps.FAILED]
    _show(console, server, run, found, failures)
    code = 0 if run.get("state") == SUCCEEDED else 1
    pages: list[Path] = []
    if reports and spec:
        pages, code = _fetch(server, run, spec, reports, notice, code)
        for page in pages:
            console.print(Text.assemble(("report  ", "bold"), str(page)), soft_wrap=True)
    if as_json:
        print_json(server, run, found, failures, pages)
    return code


def print_json(
    server: Server, run: Mapping[str, Any], found: list[Step], failures: list[dict[str, str]], pages: list[Path]
) -> None:
    """Print how a run did, for programs."""
    record = {
        "run_id": run["run_id"],
        "name": run.get("display_name", ""),
        "state": run.get("state", ""),
        "url": run_url(server, str(run["run_id"])),
        "seconds": seconds_of(run, server.now()),
        "tasks": [{"task": step.task, "state": step.state, "seconds": step.seconds} for step in found],
        "failures": failures,
        "reports": [str(page) for page in pages],
    }
    Console(highlight=False, soft_wrap=True).out(json.dumps(record, indent=2, ensure_ascii=False), highlight=False)


def _failure(server: Server, run: Mapping[str, Any], step: Step) -> dict[str, str]:
    """Return what is known of a step that failed; that its log cannot be had must not hide the rest."""
    nodes = pods(run, step.task, failed=True)
    log = ""
    if nodes:
        try:
            text = log_tail(server, run, nodes[0])
        except RopewalkError as error:
            log = str(error)
        else:
            log = missing_log(server, run, nodes[0]) if text is None else failure_tail(own_lines(text))
    return {"task": step.task, "error": step.error, "log": log}


def _show(
    console: Console, server: Server, run: Mapping[str, Any], found: list[Step], failures: list[dict[str, str]]
) -> None:
    for failure in failures:
        console.print(Text(failure["log"], style="dim"), soft_wrap=True)
        error = failure["error"] or "The server does not say why."
        console.print(Panel(Text(error), title=f"{failure['task']} failed", border_style="red", title_align="left"))
    table = Table("step", "state", "seconds", box=None)
    table.columns[2].justify = "right"
    for step in found:
        seconds = "" if step.seconds is None else f"{step.seconds:.0f}"
        table.add_row(step.task, Text(step.state, style=_STYLES.get(step.state, "dim")), seconds)
    whole = seconds_of(run, server.now())
    state = str(run.get("state", "")).lower()
    style = {"succeeded": "green", "failed": "red"}.get(state, "yellow")
    table.add_row(Text("whole run", style="bold"), Text(state, style=style), "" if whole is None else f"{whole:.0f}")
    console.print(table)
    if run.get("state") == FAILED and not failures:
        told = (run.get("error") or {}).get("message")
        for error in [*([told] if told else []), *other_errors(run)]:
            console.print(Text(str(error)), soft_wrap=True)
    console.print(Text(run_url(server, str(run["run_id"]))), soft_wrap=True)


def _fetch(
    server: Server,
    run: Mapping[str, Any],
    spec: Mapping[str, Any],
    folder: Path,
    notice: Callable[[str], None],
    code: int,
) -> tuple[list[Path], int]:
    """Return the pages of a run, and the exit code: 1 when they cannot be had, for they were asked for."""
    from ropewalk.launch.client.reports import download_reports

    try:
        pages = download_reports(run, spec, folder)
    except RopewalkError as error:
        notice(f"error: The reports cannot be fetched: {error} See them at {run_url(server, str(run['run_id']))}")
        return [], 1
    if not pages:
        notice("The run made no reports that can be fetched: its steps made none, or came from the cache.")
    return pages, code
