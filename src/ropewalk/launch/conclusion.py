"""Tells a person how a run ended: its results, or what went wrong and where to look."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ropewalk.launch import steps
from ropewalk.launch.output import failure_tail, own_lines
from ropewalk.launch.runs import FAILED, INTERRUPTED, LOGS, SUCCEEDED, UNREADABLE, Run, log_name

_CREDENTIALS = re.compile(r"//[^/@]*@")
STYLES = {SUCCEEDED: "green", FAILED: "red", INTERRUPTED: "yellow", UNREADABLE: "red"}


def show_conclusion(console: Console, run: Run) -> None:
    """Print the end of `run`: times, metrics, model and links, or the error first."""
    if run.state != SUCCEEDED:
        _show_failure(console, run)
    console.print(_times(run))
    if run.metrics:
        console.print(_metrics(run))
    links = _links(run)
    width = max(len(name) for name, _ in links) + 2
    for name, value in links:
        console.print(Text.assemble((name.ljust(width), "bold"), value), soft_wrap=True)


def show_runs(console: Console, runs: list[Run]) -> None:
    """Print one line a run."""
    table = Table("run", "state", "started", "seconds", "metric", "model", box=None)
    for run in runs:
        table.add_row(
            run.id,
            Text(run.state, style=STYLES.get(run.state, "cyan")),
            run.started[:19].replace("T", " "),
            f"{run.seconds:.0f}",
            _key_metric(run),
            f"{run.model['model_name']} v{run.model['version']}" if run.model else "",
        )
    console.print(table)


def mlflow_command(tracking_uri: str) -> str:
    """Return the command that opens MLflow's pages on `tracking_uri`, or where to point the browser at a server."""
    if tracking_uri.startswith(("http://", "https://", "databricks")):
        return f"open {_CREDENTIALS.sub('//', tracking_uri)} in a browser"
    beside = Path(sys.executable).with_name("mlflow")
    program = "mlflow" if shutil.which("mlflow") or not beside.exists() else str(beside)
    return shlex.join([program, "ui", "--backend-store-uri", tracking_uri])


def _show_failure(console: Console, run: Run) -> None:
    failed = next((step for step in run.steps if step["state"] == steps.FAILED), None)
    title = f"{run.id} {run.state}" + (f" at {failed['task']}" if failed else "")
    log = run.folder / LOGS / (log_name(failed["task"]) if failed else "kfp.log")
    if failed and run.state == FAILED and log.exists():
        console.print(Text(failure_tail(own_lines(log.read_text(encoding="utf-8", errors="replace"))), style="dim"))
    console.print(Panel(Text(run.error), title=title, border_style=STYLES[run.state], title_align="left"))
    if log.exists():
        console.print(Text.assemble(("log  ", "bold"), str(log)), soft_wrap=True)


def _times(run: Run) -> Table:
    table = Table("step", "state", "seconds", box=None)
    table.columns[2].justify = "right"
    for step in run.steps:
        if run.state == SUCCEEDED and step["state"] == steps.SKIPPED:
            continue  # its condition did not hold: it was not asked for
        seconds = "" if step["seconds"] is None else f"{step['seconds']:.1f}"
        table.add_row(step["task"], Text(step["state"], style=STYLES.get(step["state"], "dim")), seconds)
    table.add_row(Text("whole run", style="bold"), Text(run.state, style=STYLES[run.state]), f"{run.seconds:.1f}")
    return table


def _metrics(run: Run) -> Table:
    table = Table("metric", "value", "95 % interval", box=None)
    table.columns[1].justify = "right"
    ends = {f"{name}_{end}" for name in run.metrics for end in ("low", "high")}
    for name, value in run.metrics.items():
        low, high = (run.metrics.get(f"{name}_{end}") for end in ("low", "high"))
        interval = "" if low is None or high is None else f"{low:.4g} to {high:.4g}"
        if name not in ends:
            table.add_row(name, f"{value:.6g}", interval)
    return table


def _links(run: Run) -> list[tuple[str, str]]:
    links = [("verdict", run.verdict)] if run.verdict else []
    if run.model:
        links.append(("model", f"{run.model['model_name']} version {run.model['version']}"))
    links += [("best", text) for text in _best(run)]
    links += [(name, str(path)) for name, path in run.reports.items()]
    links.append(("run", str(run.folder)))
    if run.model:
        links.append(("MLflow", mlflow_command(_tracking_uri(run))))
    return links


def _best(run: Run) -> list[str]:
    """Return what a search found, in a line."""
    parameters = run.best.get("best_parameters")
    if not isinstance(parameters, dict):
        return []
    values = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in parameters.values())
    return [", ".join(f"{name}={value}" for name, value in zip(parameters, values, strict=True))]


def _tracking_uri(run: Run) -> str:
    embedded = f"sqlite:///{run.folder.parent.parent / 'mlflow.db'}"
    given = run.parameters.get("mlflow_tracking_uri")
    return str(given or os.environ.get("MLFLOW_TRACKING_URI") or embedded)


def _key_metric(run: Run) -> str:
    name, value = next(iter(run.metrics.items()), ("", 0.0))
    return f"{name} {value:.4g}" if name else ""
