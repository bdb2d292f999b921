"""`ropewalk publish`, `submit` and `schedule`: what is brought to a KFP server."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ropewalk.commands.server_runs import (
    as_json_option,
    connected,
    follow_to_end,
    on_server,
    print_json,
    repeated,
    say,
    where,
)
from ropewalk.errors import ConfigError

if TYPE_CHECKING:
    from ropewalk.launch.client.publish import Published
    from ropewalk.launch.client.server import Server
    from ropewalk.launch.request import Request


@click.command()
@click.argument("pipeline")
@click.option(
    "--version", "version", default="", metavar="NAME", help="Name of the version.  [default: RELEASE-COMMIT]"
)
@click.option("--release", default="", help="Release to name the version for.  [default: Ropewalk's]")
@click.option("--allow-dirty", is_flag=True, help="Publish although files have changed since the commit.")
@on_server
@as_json_option
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
      ropewalk publish build/training.yaml --profile cluster.yaml
      ropewalk publish build/training.yaml --host https://kubeflow.example.org/pipeline --version 1.4.0 --json

    Exit codes: 0 it is there, 1 the server refused or is away, 2 wrong usage, files changed since the commit, or other
    content under that name (nothing was uploaded).
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)
    from ropewalk.launch.request import open_request

    request = open_request(pipeline)
    with connected(profile, host, namespace) as server:
        done = _publish(server, request, pipeline, version=version, release=release, allow_dirty=allow_dirty)
    if as_json:
        print_json(asdict(done))
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

        return make_command(name, open_request(name), start, [*where(), *_submit_options()])


@click.group(cls=Submission, subcommand_metavar="PIPELINE [PARAMETERS]...")
def submit() -> None:
    """Start a run on a server: PIPELINE is a compiled .yaml file, or a name from the list below.

    \b
    Examples:
      ropewalk submit build/training.yaml --profile cluster.yaml --data s3://lake/my.csv --target churn
      ropewalk submit build/training.yaml --profile cluster.yaml --wait --report reports
      ropewalk submit build/training.yaml --profile cluster.yaml --publish --json
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
        click.Option(
            ["--experiment"],
            default="",
            help="Experiment it belongs to; made where it is missing.  [default: the profile's]",
        ),
        click.Option(
            ["--service-account"], default="", help="Kubernetes service account of its pods.  [default: the profile's]"
        ),
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
        say(f"note: this YAML was compiled by Ropewalk {', '.join(sorted(others))}; this is {__version__}.")
    config = find_connection(profile, host, namespace)
    with connected(profile, host, namespace) as server:
        version = _publish(server, request, name, allow_dirty=allow_dirty) if publish_first else None
        try:
            started = submit_run(
                server,
                request,
                arguments,
                name=run_name,
                experiment=experiment or config.experiment,
                service_account=service_account or config.service_account,
                published=version,
            )
        except KeyboardInterrupt:
            say(f"Interrupted; the run may have been started: ropewalk runs{repeated(profile, host, namespace)}")
            raise
        url = run_url(server, started["run_id"])
        if not as_json:
            click.echo(f"Run {started['run_id']}\n{url}")
        if wait or report_folder:
            options = repeated(profile, host, namespace)
            follow_to_end(server, started["run_id"], timeout, report_folder, as_json=as_json, options=options)
        elif as_json:
            print_json({"run_id": started["run_id"], "url": url, "state": started.get("state", "PENDING")})


@click.group()
def schedule() -> None:
    """Keep the recurring runs of a server as a file declares them.

    \b
    Examples:
      ropewalk schedule apply schedules.yaml --profile cluster.yaml --dry-run
      ropewalk schedule ls --profile cluster.yaml

    \b
    A file of schedules:
      owner: flights                  whose they are: others are left alone
      schedules:
        - name: nightly
          pipeline: training          published before
          cron: "0 0 3 * * *"         six fields, seconds first; or every: 6h
          parameters: {data: "s3://lake/flights", target: late}
    """  # noqa: D301


@schedule.command(name="ls")
@on_server
@as_json_option
def list_command(*, profile: Path | None, host: str, namespace: str, as_json: bool) -> None:
    """List the recurring runs of a server, and whose they are."""
    from ropewalk.launch.client.reconcile import list_schedules

    with connected(profile, host, namespace) as server:
        found = list_schedules(server)
    if as_json:
        print_json([asdict(line) for line in found])
        return
    from rich.table import Table
    from rich.text import Text

    from ropewalk.launch.console import open_console

    table = Table("schedule", "owner", "status", "when", "id", box=None)
    for line in found:
        table.add_row(Text(line.name), line.owner, line.status.lower(), Text(line.when), line.id)
    open_console().print(table)


@schedule.command(name="apply")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@on_server
@as_json_option
def apply_command(*, file: Path, dry_run: bool, profile: Path | None, host: str, namespace: str, as_json: bool) -> None:
    """Create, replace, enable, disable and delete recurring runs, until they are what FILE declares.

    It can be run again at any time, and does nothing when nothing has changed. Schedules of other owners, and those
    that were made by hand, are left alone.
    """
    from ropewalk.launch.client.connect import find_connection
    from ropewalk.launch.client.reconcile import apply, existing, plan, settle
    from ropewalk.launch.client.schedule import read_schedules, with_defaults

    config = find_connection(profile, host, namespace)
    declared = with_defaults(read_schedules(file), experiment=config.experiment, service_account=config.service_account)
    with connected(profile, host, namespace) as server:
        settled = settle(server, declared)
        steps = plan(declared.owner, settled, existing(server)) if dry_run else apply(server, declared.owner, settled)
    if as_json:
        print_json([{"action": step.action, "name": step.name} for step in steps])
        return
    for step in steps:
        click.echo(f"{'would ' if dry_run and step.action != 'keep' else ''}{step.action} {step.name}")


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
