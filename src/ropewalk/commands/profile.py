"""`ropewalk profile ...`: what one cluster gives the steps of every pipeline."""

import json
import sys
from pathlib import Path

import click


@click.group()
def profile() -> None:
    """Describe a cluster once: images, resources, GPUs, placement, secrets, volumes, retries, where MLflow is.

    A profile is a YAML file. It is put into every step of every pipeline when they compile, and into the pods that
    steps launch. It names secrets and never holds them, so it belongs into Git.

    \b
    Examples:
      ropewalk profile init cluster.yaml                        begin with a cluster that has one GPU
      ropewalk profile init cluster.yaml --kind cloud-spot-gpu
      ropewalk profile show cluster.yaml                        what does each step get?
      ropewalk profile check cluster.yaml                       is it right, and does everything compile with it?
      python compile.py --profile cluster.yaml                  compile for this cluster
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)


@profile.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--kind", default="onprem-single-gpu", show_default=True, help="Or cloud-spot-gpu, or air-gapped.")
def init(*, file: Path, kind: str) -> None:
    """Write an example to FILE, with comments: change it to what your cluster has."""
    from ropewalk.launch.profiles.start import write_example

    write_example(kind, file)
    click.echo(f"{file}: change what is yours, then `ropewalk profile check {file}`.")


@profile.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(*, file: Path, as_json: bool) -> None:
    """Show what each step gets by the profile FILE, and the pods that steps launch. Values are never shown."""
    from ropewalk.launch.profiles import read_profile
    from ropewalk.launch.profiles.apply import check_steps
    from ropewalk.launch.profiles.known import known_handed_on, known_images
    from ropewalk.launch.profiles.show import records, shares, table

    read = read_profile(file)
    images = known_images(read)
    check_steps(read, set(images))
    found = shares(read, images, known_handed_on())
    if as_json:
        click.echo(json.dumps(records(found), indent=2, ensure_ascii=False))
        return
    from ropewalk.launch.console import open_console

    open_console().print(table(found))


@profile.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def check(*, file: Path) -> None:
    """Check the profile FILE: all that is wrong is listed at once; then every pipeline is compiled with it and linted.

    Exit codes: 0 right, 1 compiled pipelines would fail on a cluster, 2 the profile is wrong.
    """
    from ropewalk.launch.compile import compile_everything
    from ropewalk.launch.lint.lint import lint_text
    from ropewalk.launch.lint.show import as_text, has_errors
    from ropewalk.launch.profiles import read_profile

    compiled = compile_everything(read_profile(file))
    findings = [
        finding
        for one in compiled
        if one.path.parent == Path()
        for finding in lint_text(one.text, source=str(one.path))
    ]
    for line in as_text(findings):
        click.echo(line)
    if has_errors(findings):
        sys.exit(1)
    click.echo(f"{file} is right: {len(compiled)} pipelines and components compile with it.")
