"""`ropewalk publish`, `submit`, `follow`, `logs`, `cancel`, `retry` and `schedule`: what is done on a KFP server."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ropewalk.errors import ConfigError, ServiceError

if TYPE_CHECKING:
    from ropewalk.launch.client.publish import Published
    from ropewalk.launch.client.server import Server
    from ropewalk.launch.client.server_runs import RunLine
    from ropewalk.launch.request import Request

Command = TypeVar("Command", bound=Callable[..., Any])

INTERRUPTED_CODE = 130


def _where() -> list[click.Option]:
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
    command.__click_params__ = [*reversed(_where()), *getattr(command, "__click_params__", [])]  # type: ignore[attr-defined]
    return command


_as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress goes to stderr.")


@click.command()
@click.argument("pipeline")
@click.option(
    "--version", "version", default="", metavar="NAME", help="Name of the version.  [default: RELEASE-COMMIT]"
)
@click.option("--release", default="", help="Release to name the version for.  [default: Ropewalk's]")
@click.option("--allow-dirty", is_flag=True, help="Publish although files have changed since the commit.")
@on_server
@_as_json
def publish(
    *,
    pipeline: str,
    version: str,
    release: str,
    allow_dirty: bool,
    profile: Path | None,
    host: str,
    namespace: str,
    as_json: bool,
) -> None:
    """Bring PIPELINE, a compiled .yaml file or a pipeline's name, to the server as a version of it.

    The version is named for the release and the commit, as in 0.1.0-3f2a90c1b7de. When the server has the same bytes
    already, nothing is done: it can be run again at any time, also by several at once.

    \b
    Examples:
      ropewalk publish build/training.yaml --profile profiles/cluster.yaml
      ropewalk publish build/training.yaml --host https://kubeflow.example.org/pipeline --version 1.4.0 --json
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)
    from ropewalk.launch.request import open_request

    request = open_request(pipeline)
    with _server(profile, host, namespace) as server:
        done = _publish(server, request, pipeline, version=version, release=release, allow_dirty=allow_dirty)
    if as_json:
        _print_json(asdict(done))
        return
    what = "Published" if done.created else "There already:"
    click.echo(f"{what} {done.pipeline} version {done.version}\n{done.url}")


class Submission(click.Group):
    """`ropewalk submit PIPELINE`: one command for each pipeline, made from its compiled YAML."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the pipelines."""
        from ropewalk.launch import catalog

        return list(catalog.pipelines())

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        """Return the command that submits the pipeline or file `name`, a flag for each of its parameters."""
        from ropewalk.launch.command import make_command
        from ropewalk.launch.request import open_request

        def start(request: "Request", flags: dict[str, str], pairs: tuple[str, ...], **options: Any) -> None:
            _submit(name, request, flags, pairs, **options)

        return make_command(name, open_request(name), start, [*_where(), *_submit_options()])


@click.group(cls=Submission, subcommand_metavar="PIPELINE [PARAMETERS]...")
def submit() -> None:
    """Start a run on a server: PIPELINE is a compiled .yaml file, or a name from the list below.

    \b
    Examples:
      ropewalk submit build/training.yaml --profile profiles/cluster.yaml --data s3://lake/my.csv --target churn
      ropewalk submit build/training.yaml --profile profiles/cluster.yaml --wait --report reports
      ropewalk submit build/training.yaml --profile profiles/cluster.yaml --publish --json
      ropewalk submit build/training.yaml --help          all parameters of that pipeline

    Parameters are checked before anything is sent. Ctrl-C leaves the run alone.
    Exit codes: 0 started (with --wait: succeeded), 1 failed or cancelled, 2 wrong usage or parameters (nothing was
    started), 75 the server is away or --timeout is over (the run goes on), 130 interrupted (the run goes on).
    """  # noqa: D301


def _submit_options() -> list[click.Option]:
    folder = click.Path(path_type=Path, file_okay=False)
    return [
        click.Option(
            ["--wait"], is_flag=True, help="Show the run until it has ended; exit with 0 only if it succeeded."
        ),
        click.Option(
            ["--timeout"],
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="With --wait: how long at most; the run goes on.",
        ),
        click.Option(
            ["--report", "report_folder"], type=folder, metavar="FOLDER", help="Implies --wait; then fetch its pages."
        ),
        click.Option(["--run-name"], default="", help="Name of the run.  [default: the pipeline's, and the time]"),
        click.Option(["--experiment"], default="", help="Experiment it belongs to; made where it is missing."),
        click.Option(["--service-account"], default="", help="Kubernetes service account of its pods."),
        click.Option(["--publish", "publish_first"], is_flag=True, help="Publish first, and run that version."),
        click.Option(
            ["--allow-dirty"], is_flag=True, help="With --publish: although files have changed since the commit."
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the run as JSON; progress goes to stderr."),
    ]


def _submit(
    name: str,
    request: "Request",
    flags: dict[str, str],
    pairs: tuple[str, ...],
    *,
    profile: Path | None,
    host: str,
    namespace: str,
    wait: bool,
    timeout: float | None,
    report_folder: Path | None,
    run_name: str,
    experiment: str,
    service_account: str,
    publish_first: bool,
    allow_dirty: bool,
    as_json: bool,
) -> None:
    from ropewalk import __version__
    from ropewalk.launch.client.connect import find_connection
    from ropewalk.launch.client.server_runs import run_url
    from ropewalk.launch.client.submit import submit as submit_run
    from ropewalk.launch.client.version_name import releases
    from ropewalk.launch.parameters import merge_parameters, parse_parameters

    if (timeout and not (wait or report_folder)) or (allow_dirty and not publish_first):
        raise ConfigError("--timeout belongs to --wait, and --allow-dirty to --publish: give both, or neither.")
    arguments = parse_parameters(merge_parameters(flags, pairs), request.specification)
    if others := releases(request.specification.images) - {__version__}:
        _say(f"note: this YAML was compiled by Ropewalk {', '.join(sorted(others))}; this is {__version__}.")
    experiment = experiment or find_connection(profile, host, namespace).experiment
    with _server(profile, host, namespace) as server:
        version = _publish(server, request, name, allow_dirty=allow_dirty) if publish_first else None
        started = submit_run(
            server,
            request,
            arguments,
            name=run_name,
            experiment=experiment,
            service_account=service_account,
            published=version,
        )
        url = run_url(server, started["run_id"])
        if not as_json:
            click.echo(f"Run {started['run_id']}\n{url}")
        if wait or report_folder:
            options = _repeated(profile, host, namespace)
            _follow(server, started["run_id"], timeout, report_folder, as_json=as_json, options=options)
        elif as_json:
            _print_json({"run_id": started["run_id"], "url": url, "state": started.get("state", "PENDING")})


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
@_as_json
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

    Exit codes: 0 succeeded, 1 failed or cancelled, 75 the server is away or --timeout is over, 130 interrupted.
    """
    from ropewalk.launch.client.server_runs import find_run

    with _server(profile, host, namespace) as server:
        found = find_run(server, run_id)
        options = _repeated(profile, host, namespace)
        _follow(server, found["run_id"], timeout, report_folder, as_json=as_json, options=options)


@click.command()
@_run
@click.argument("task", required=False)
@click.option("--tail", type=click.IntRange(min=1), metavar="LINES", help="Only the last lines.")
@on_server
def logs(*, run_id: str, task: str | None, tail: int | None, profile: Path | None, host: str, namespace: str) -> None:
    """Print what the code of a step wrote: of TASK, or of the step of RUN that failed.

    \b
    Examples:
      ropewalk logs 3f2a90c1 --profile profiles/cluster.yaml
      ropewalk logs 3f2a90c1 train-model --tail 50 --profile profiles/cluster.yaml
    """  # noqa: D301
    from ropewalk.launch.client.server_runs import find_run
    from ropewalk.launch.client.step_logs import choose_node, print_log

    with _server(profile, host, namespace) as server:
        run = find_run(server, run_id)
        print_log(server, run, choose_node(server, run, task or ""), tail=tail, write=_write)


@click.command()
@_run
@on_server
@_as_json
def cancel(*, run_id: str, profile: Path | None, host: str, namespace: str, as_json: bool) -> None:
    """Stop RUN on a server; one that has ended stays as it is."""
    from ropewalk.launch.client.server_runs import cancel as cancel_run
    from ropewalk.launch.client.server_runs import find_run, run_url

    with _server(profile, host, namespace) as server:
        run = find_run(server, run_id)
        state, url = cancel_run(server, run), run_url(server, run["run_id"])
    if as_json:
        _print_json({"run_id": run["run_id"], "url": url, "state": state})
    else:
        click.echo(f"Run {run['run_id']} is {state}\n{url}")


@click.command()
@_run
@on_server
@_as_json
def retry(*, run_id: str, profile: Path | None, host: str, namespace: str, as_json: bool) -> None:
    """Do again what failed or was cancelled in RUN on a server; what had succeeded is kept."""
    from ropewalk.launch.client.server_runs import find_run, run_url
    from ropewalk.launch.client.server_runs import retry as retry_run

    with _server(profile, host, namespace) as server:
        run = find_run(server, run_id)
        retry_run(server, run)
        url = run_url(server, run["run_id"])
    if as_json:
        _print_json({"run_id": run["run_id"], "url": url})
    else:
        click.echo(f"Run {run['run_id']} goes on\n{url}")


def list_server_runs(profile: Path | None, host: str, namespace: str, *, limit: int, as_json: bool) -> None:
    """Print the newest runs of a server."""
    from ropewalk.launch.client.server_runs import list_runs

    with _server(profile, host, namespace) as server:
        found = list_runs(server, limit=limit)
    if as_json:
        _print_json([asdict(run) for run in found])
    else:
        _show_runs(found)


@click.group()
def schedule() -> None:
    """Keep the recurring runs of a server as a file declares them.

    \b
    A file of schedules:
      owner: flights                  whose they are: others are left alone
      schedules:
        - name: nightly
          pipeline: training          published before
          cron: "0 0 3 * * *"         six fields, seconds first; or every: 6h
          parameters: {data: "s3://lake/flights", target: late}
    """  # noqa: D301


@schedule.command(name="apply")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@on_server
@_as_json
def apply_command(*, file: Path, dry_run: bool, profile: Path | None, host: str, namespace: str, as_json: bool) -> None:
    """Create, replace, enable, disable and delete recurring runs, until they are what FILE declares.

    It can be run again at any time, and does nothing when nothing has changed. Schedules of other owners, and those
    that were made by hand, are left alone.
    """
    from ropewalk.launch.client.reconcile import apply, existing, plan, settle
    from ropewalk.launch.client.schedule import read_schedules

    declared = read_schedules(file)
    with _server(profile, host, namespace) as server:
        settled = settle(server, declared)
        steps = plan(declared.owner, settled, existing(server)) if dry_run else apply(server, declared.owner, settled)
    if as_json:
        _print_json([{"action": step.action, "name": step.name} for step in steps])
        return
    for step in steps:
        click.echo(f"{'would ' if dry_run and step.action != 'keep' else ''}{step.action} {step.name}")


@contextmanager
def _server(profile: Path | None, host: str, namespace: str) -> "Iterator[Server]":
    from ropewalk.launch.client.connect import find_connection, open_server

    with open_server(find_connection(profile, host, namespace), notice=_say) as server:
        yield server


def _publish(
    server: "Server",
    request: "Request",
    pipeline: str,
    *,
    version: str = "",
    release: str = "",
    allow_dirty: bool = False,
) -> "Published":
    from ropewalk.launch.client.publish import publish as publish_version
    from ropewalk.launch.client.version_name import VersionName, check_version_name, name_version

    if version:
        named = VersionName(name=check_version_name(version))
    else:
        file = Path(pipeline)
        named = name_version(
            request.text,
            file.parent if file.exists() else Path.cwd(),
            images=request.specification.images,
            release=release,
            allow_dirty=allow_dirty,
        )
    return publish_version(server, request, named)


def _follow(
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
        code = conclude(server, run_id, timeout=timeout, reports=report_folder, as_json=as_json, notice=_say)
    except (KeyboardInterrupt, ServiceError) as stopped:
        if isinstance(stopped, ServiceError):
            _say(f"error: {stopped}")
        _say(
            f"The run goes on. To follow it: ropewalk follow {run_id}{options}\n"
            f"To stop it: ropewalk cancel {run_id}{options}"
        )
        code = os.EX_TEMPFAIL if isinstance(stopped, ServiceError) else INTERRUPTED_CODE
    sys.exit(code)


def _repeated(profile: Path | None, host: str, namespace: str) -> str:
    """Return the options that lead to the same server, for a command to copy."""
    import shlex

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


def _say(text: str) -> None:
    click.echo(text, err=True)


def _write(text: str) -> None:
    click.echo(text, nl=False)


def _print_json(content: object) -> None:
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))
