"""`ropewalk follow`, `logs`, `cancel`, `retry` and `runs --host`: what is done with the runs of a KFP server."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ropewalk.errors import ClusterError, ServiceError

if TYPE_CHECKING:
    from ropewalk.launch.client.server import Server
    from ropewalk.launch.client.server_runs import RunLine

Command = TypeVar("Command", bound=Callable[..., Any])

INTERRUPTED_CODE = 130


def where() -> list[click.Option]:
    """Return the options that say which server is meant."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    return [
        click.Option(["--profile"], type=file, help="Profile whose kfp section says where the server is."),
        click.Option(
            ["--host"],
            default="",
            metavar="URL",
            help="The server's API.  [default: the profile's, KF_PIPELINES_ENDPOINT]",
        ),
        click.Option(["--namespace"], default="", help="Your namespace, where several users share the server."),
    ]


def on_server(command: Command) -> Command:
    """Give a command the options that say which server is meant."""
    command.__click_params__ = [*reversed(where()), *getattr(command, "__click_params__", [])]  # type: ignore[attr-defined]
    return command


as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON; progress goes to stderr."
)

_run = click.argument("run_id", metavar="RUN")


@click.command()
@_run
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="How long at most.")
@click.option(
    "--report",
    "report_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Then fetch its pages.",
)
@on_server
@as_json_option
def follow(
    *,
    run_id: str,
    timeout: float | None,
    report_folder: Path | None,
    profile: Path | None,
    host: str,
    namespace: str,
    as_json: bool,
) -> None:
    """Show RUN, a run on a server, until it has ended: an id, its first characters, or a run's name.

    Exit codes: 0 succeeded, 1 failed or cancelled, 75 the server is away, does not let us in any more, or
    --timeout is over (the run goes on), 130 interrupted.
    """
    from ropewalk.launch.client.server_runs import find_run

    with connected(profile, host, namespace) as server:
        found = find_run(server, run_id)
        options = repeated(profile, host, namespace)
        follow_to_end(server, found["run_id"], timeout, report_folder, as_json=as_json, options=options)


@click.command()
@_run
@click.argument("task", required=False)
@click.option("--tail", type=click.IntRange(min=1), metavar="LINES", help="Only the last lines.")
@on_server
def logs(*, run_id: str, task: str | None, tail: int | None, profile: Path | None, host: str, namespace: str) -> None:
    """Print what the code of a step wrote: of TASK, or of the step of RUN that failed.

    \b
    Examples:
      ropewalk logs 3f2a90c1 --profile cluster.yaml
      ropewalk logs 3f2a90c1 train-model --tail 50 --profile cluster.yaml
    """  # noqa: D301
    from ropewalk.launch.client.server_runs import find_run
    from ropewalk.launch.client.step_logs import choose_node, print_log

    with connected(profile, host, namespace) as server:
        run = find_run(server, run_id)
        print_log(server, run, choose_node(server, run, task or ""), tail=tail, write=_write)


@click.command()
@_run
@on_server
@as_json_option
def cancel(*, run_id: str, profile: Path | None, host: str, namespace: str, as_json: bool) -> None:
    """Stop RUN on a server; one that has ended stays as it is."""
    from ropewalk.launch.client.server_runs import cancel as cancel_run
    from ropewalk.launch.client.server_runs import find_run, run_url

    with connected(profile, host, namespace) as server:
        run = find_run(server, run_id)
        state, url = cancel_run(server, run), run_url(server, run["run_id"])
    if as_json:
        print_json({"run_id": run["run_id"], "url": url, "state": state})
    else:
        click.echo(f"Run {run['run_id']} is {state}\n{url}")


@click.command()
@_run
@on_server
@as_json_option
def retry(*, run_id: str, profile: Path | None, host: str, namespace: str, as_json: bool) -> None:
    """Do again what failed or was cancelled in RUN on a server; what had succeeded is kept."""
    from ropewalk.launch.client.server_runs import find_run, run_url
    from ropewalk.launch.client.server_runs import retry as retry_run

    with connected(profile, host, namespace) as server:
        run = find_run(server, run_id)
        retry_run(server, run)
        url = run_url(server, run["run_id"])
    if as_json:
        print_json({"run_id": run["run_id"], "url": url})
    else:
        click.echo(f"Run {run['run_id']} goes on\n{url}")


def list_server_runs(profile: Path | None, host: str, namespace: str, *, limit: int, as_json: bool) -> None:
    """Print the newest runs of a server."""
    from ropewalk.launch.client.server_runs import list_runs

    with connected(profile, host, namespace) as server:
        found = list_runs(server, limit=limit)
    if as_json:
        print_json([asdict(run) for run in found])
    else:
        _show_runs(found)


@contextmanager
def connected(profile: Path | None, host: str, namespace: str) -> "Iterator[Server]":
    """Connect to the server for as long as the block runs."""
    from ropewalk.launch.client.connect import choose_namespace, find_connection, open_server

    with open_server(find_connection(profile, host, namespace), notice=say) as server:
        choose_namespace(server)
        yield server


def follow_to_end(
    server: "Server",
    run_id: str,
    timeout: float | None,
    report_folder: Path | None,
    *,
    as_json: bool,
    options: str,
) -> None:
    """Show a run until it has ended, tell how it did, and exit with its code."""
    from ropewalk.launch.client.ending import conclude

    try:
        code = conclude(server, run_id, timeout=timeout, reports=report_folder, as_json=as_json, notice=say)
    except (KeyboardInterrupt, ClusterError, ServiceError) as stopped:
        interrupted = isinstance(stopped, KeyboardInterrupt)
        if not interrupted:
            say(f"error: {stopped}")
        say(
            f"The run goes on. To follow it: ropewalk follow {run_id}{options}\n"
            f"To stop it: ropewalk cancel {run_id}{options}"
        )
        code = INTERRUPTED_CODE if interrupted else os.EX_TEMPFAIL
    sys.exit(code)


def repeated(profile: Path | None, host: str, namespace: str) -> str:
    """Return the options that lead to the same server, for a command to copy."""
    given = {"--profile": profile, "--host": host, "--namespace": namespace}
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value)


def _show_runs(found: "list[RunLine]") -> None:
    from rich.table import Table
    from rich.text import Text

    from ropewalk.launch.console import open_console

    styles = {"SUCCEEDED": "green", "FAILED": "red", "CANCELED": "yellow"}
    table = Table("run", "name", "state", "created", "seconds", box=None)
    for run in found:
        seconds = "" if run.seconds is None else f"{run.seconds:.0f}"
        state = Text(run.state, style=styles.get(run.state, "cyan"))
        table.add_row(run.id, Text(run.name), state, run.created[:19].replace("T", " "), seconds)
    open_console().print(table)


def say(text: str) -> None:
    """Tell a person something, aside from the result."""
    click.echo(text, err=True)


def _write(text: str) -> None:
    click.echo(text, nl=False)


def print_json(content: object) -> None:
    """Print a result for programs."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))
