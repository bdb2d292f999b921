"""Compiles every pipeline and component to YAML: `python compile.py --help`."""

import sys
from pathlib import Path

import click
from rich.table import Table

from ropewalk.errors import ConfigError, RopewalkError
from ropewalk.launch.compare.show import as_text
from ropewalk.launch.compile import (
    Compiled,
    compare_files,
    compile_everything,
    explain_files,
    golden_files,
    readmes,
    update_files,
    write_everything,
)
from ropewalk.launch.console import open_console
from ropewalk.launch.profiles import Profile, read_profile

ROOT = Path(__file__).parent
GOLDEN = ROOT / "tests" / "pipelines" / "golden"


@click.command(context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]})
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "build",
    help="Folder for the YAML.  [default: build]",
)
@click.option(
    "--check",
    "action",
    flag_value="check",
    help="Write nothing; exit 1 with a diff, and what it means, when a golden file or README is out of date.",
)
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML file that says what the steps get on your cluster: `ropewalk profile init`.",
)
@click.option("--update", "action", flag_value="update", help="Rewrite the golden files and the components' READMEs.")
def main(*, out: Path, profile: Path | None, action: str | None) -> None:
    """Compile every pipeline (OUT/NAME.yaml) and component (OUT/components/NAME.yaml) to KFP's YAML.

    The same source gives the same bytes, on every machine.

    \b
    Examples:
      python compile.py                write all YAML to build/
      python compile.py --out /tmp/x   write it elsewhere
      python compile.py --profile cluster.yaml
      python compile.py --check        has anything changed? (CI runs this)
      python compile.py --update       yes, and it is meant to
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)
    try:
        if profile and action:
            raise ConfigError(
                f"--{action} compares with the golden files, which belong to no cluster: leave --profile."
            )
        compiled = compile_everything(read_profile(profile) if profile else Profile())
        match action:
            case "check":
                _check(compiled)
            case "update":
                _update(compiled)
            case _:
                _write(compiled, out)
    except RopewalkError as error:
        sys.exit(f"error: {error}")


def _write(compiled: list[Compiled], out: Path) -> None:
    write_everything(compiled, out)
    table = Table("YAML", "parameters", "tasks", "images", "bytes", "SHA-256", box=None)
    for one in compiled:
        spec = one.specification
        images = "\n".join(image.rpartition("/")[2] for image in spec.images)
        table.add_row(
            str(one.path), str(len(spec.parameters)), str(len(spec.tasks)), images, f"{one.size:,}", one.digest[:12]
        )
    for column in table.columns:
        column.no_wrap = True
    console = open_console()
    console.print(table)
    console.print(f"{len(compiled)} files in {out}", soft_wrap=True)


def _check(compiled: list[Compiled]) -> None:
    wanted = golden_files(compiled, GOLDEN) | readmes()
    diff = compare_files(wanted, GOLDEN)
    if diff:
        click.echo(diff)
        # The meaning comes last: it is what stands above the prompt.
        for line in as_text(explain_files(wanted, GOLDEN)):
            click.echo(line)
        sys.exit("error: the files above are out of date. If the change is meant, run `python compile.py --update`.")
    click.echo(f"{len(wanted)} golden files and READMEs are up to date.")


def _update(compiled: list[Compiled]) -> None:
    changed = update_files(golden_files(compiled, GOLDEN) | readmes(), GOLDEN)
    for path in changed:
        click.echo(path.relative_to(ROOT))
    click.echo(f"{len(changed)} files changed.")


if __name__ == "__main__":
    main()
