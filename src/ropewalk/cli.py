"""`ropewalk ...`: parses and calls, nothing else."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ropewalk import __version__
from ropewalk.commands.checks import diff, doctor, lint
from ropewalk.commands.data import data
from ropewalk.commands.images import bundle, images
from ropewalk.commands.models import explain, models
from ropewalk.commands.profile import profile
from ropewalk.commands.server import publish, schedule, submit
from ropewalk.commands.server_runs import cancel, follow, list_server_runs, logs, on_server, retry
from ropewalk.errors import ConfigError, RopewalkError

if TYPE_CHECKING:
    from ropewalk.launch.request import Request

INTERRUPTED_CODE = 130
SERVER_RUNS = 20


class Pipelines(click.Group):
    """`ropewalk run PIPELINE`: one command for each pipeline, made from its compiled YAML."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the pipelines."""
        from ropewalk.launch import catalog

        return list(catalog.pipelines())

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        """Return the command that runs the pipeline or file `name`, a flag for each of its parameters."""
        from ropewalk.launch.command import make_command, places
        from ropewalk.launch.request import open_request

        return make_command(name, open_request(name), _run, places())


@click.group(context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ropewalk")
def cli() -> None:
    """Run Kubeflow pipelines for a model's whole life, on this machine or a cluster.

    \b
    Examples:
      ropewalk run training                                 train on a bundled sample, in about a minute
      ropewalk run training --data my.csv --target churn    train on your table
      ropewalk run training --help                          all parameters, with defaults
      ropewalk run training --config @settings.json         settings of every step, as JSON
      ropewalk runs                                         what was run, and how it went
      ropewalk open                                         the report of the latest run, in a browser
      ropewalk data ls REPOSITORY PATH                      the versions of a data set
      ropewalk models ls                                    the registered models, and which versions are in use
      ropewalk explain MODEL                                where a model came from
      ropewalk images build                                 the containers that steps run in
      ropewalk publish build/training.yaml --host URL       bring a compiled pipeline to a Kubeflow server
      ropewalk submit build/training.yaml --host URL        run it there (follow, logs, cancel, retry, schedule)

    Runs are kept in .ropewalk in the current folder, or where ROPEWALK_HOME says.
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)


cli.add_command(data)
cli.add_command(models)
cli.add_command(explain)
cli.add_command(profile)
cli.add_command(lint)
cli.add_command(diff)
cli.add_command(doctor)
cli.add_command(images)
cli.add_command(bundle)
for command in (publish, submit, follow, logs, cancel, retry, schedule):
    cli.add_command(command)


@cli.group(cls=Pipelines, subcommand_metavar="PIPELINE [PARAMETERS]...")
def run() -> None:
    """Run a pipeline here: PIPELINE is a name from the list below, or a compiled .yaml file.

    \b
    Examples:
      ropewalk run training
      ropewalk run training --data my.csv --target churn --epochs 50
      ropewalk run build/training.yaml --param epochs=50 --param seed=1
      ropewalk run training --config '{"training": {"learning_rate": 0.01}}'
      ropewalk run training --in containers --data my.csv --target churn

    Exit codes: 0 done, 1 a step failed, 2 wrong usage or parameters (nothing was started), 130 interrupted.
    """  # noqa: D301


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known of each run, as JSON.")
@click.option("--limit", type=click.IntRange(min=1), help="How many.  [default: all; on a server 20]")
@on_server
def runs(*, as_json: bool, limit: int | None, profile: Path | None, host: str, namespace: str) -> None:
    """List the runs on this machine, newest first; with --profile or --host those on that server."""
    if profile or host:
        list_server_runs(profile, host, namespace, limit=limit or SERVER_RUNS, as_json=as_json)
        return
    from ropewalk.home import ropewalk_home
    from ropewalk.launch.runs import list_runs

    found = list_runs(ropewalk_home())[:limit]
    if as_json:
        click.echo(json.dumps([run.record() for run in found], indent=2, ensure_ascii=False))
        return
    from ropewalk.launch.conclusion import show_runs
    from ropewalk.launch.console import open_console

    show_runs(open_console(), found)


@cli.command(name="open")
@click.argument("run_id", default="")
@click.option("--print", "only_print", is_flag=True, help="Only print the report's path.")
def open_report(*, run_id: str, only_print: bool) -> None:
    """Open a run's report in a browser: the latest run's, or that of RUN_ID (its first characters are enough)."""
    from ropewalk.home import ropewalk_home
    from ropewalk.launch.runs import find_run

    report = find_run(ropewalk_home(), run_id).report
    click.echo(report)
    if not only_print:
        click.launch(report.as_uri())


@cli.group()
def schema() -> None:
    """Write schemas that validation enforces."""


@schema.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="New file to write; without it the schema is printed.")
def infer(*, data: Path, output: Path | None) -> None:
    """Infer a schema from the table DATA: a file, a folder of files, or a raw-data artifact.

    \b
    Example:
      ropewalk schema infer houses.csv --output houses.schema.yaml

    Correct what was guessed and keep the file beside the table: every later run refuses data that break it.
    """  # noqa: D301
    from ropewalk.validation.schema_infer import infer_schema, write_schema

    if output is None:
        click.echo(infer_schema(data), nl=False)
    else:
        write_schema(data, output)
        click.echo(output)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage or parameters, 130 interrupted."""
    try:
        cli(prog_name="ropewalk", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED_CODE)
    except RopewalkError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


def _run(request: "Request", flags: dict[str, str], pairs: tuple[str, ...], **where: Any) -> None:
    from ropewalk.home import ropewalk_home
    from ropewalk.launch.conclusion import show_conclusion
    from ropewalk.launch.console import open_console
    from ropewalk.launch.local import run_local
    from ropewalk.launch.parameters import merge_parameters, parse_parameters
    from ropewalk.launch.preflight import check_before_start
    from ropewalk.launch.progress import choose_progress
    from ropewalk.launch.where import Where, plan_containers

    arguments = parse_parameters(merge_parameters(flags, pairs), request.specification)
    check_before_start(request.specification, arguments)
    console, home = open_console(), ropewalk_home()
    with plan_containers(Where(**where), request.text, home) as containers, choose_progress(console) as progress:
        ended = run_local(
            request.text, request.specification, arguments, home=home, progress=progress, containers=containers
        )
    show_conclusion(console, ended)
    sys.exit({"succeeded": 0, "interrupted": INTERRUPTED_CODE}.get(ended.state, 1))
