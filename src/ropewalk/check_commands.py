"""`ropewalk lint`, `diff` and `doctor`: what would go wrong on a cluster, before a GPU is spent."""

import sys
from pathlib import Path

import click

_FORMATS = click.Choice(["text", "json", "github", "sarif"])


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=_FORMATS, default="text", show_default=True, help="How findings are printed.")
@click.option("--release", is_flag=True, help="To be released: refuse images without a digest, and pip at pod start.")
@click.option("--kfp-version", default="2.17", show_default=True, help="The server's version.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Leave a rule out, by its name in brackets; repeatable.")
@click.option("--strict", is_flag=True, help="Exit 1 on warnings, too.")
def lint(
    *, files: tuple[Path, ...], form: str, release: bool, kfp_version: str, ignore: tuple[str, ...], strict: bool
) -> None:
    """Check compiled YAML for what fails late, or silently, on a cluster. A folder stands for all YAML in it.

    \b
    Examples:
      ropewalk lint build/*.yaml
      ropewalk lint build --release --format sarif > lint.sarif
      ropewalk lint build/training.yaml --kfp-version 2.15
      ropewalk lint build/training.yaml --ignore limit-cpu --ignore limit-memory

    Exit codes: 0 no errors, 1 errors, 2 wrong usage or no compiled pipeline. Rules: docs/lint.md.
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)
    from ropewalk.launch.lint import show
    from ropewalk.launch.lint.files import lint_files
    from ropewalk.launch.lint.rule import LintConfig, parse_version

    config = LintConfig(release=release, kfp_version=parse_version(kfp_version))
    count, findings = lint_files(files, config=config, ignore=ignore)
    if form == "text":
        for line in show.as_text(findings):
            click.echo(line)
        click.echo(show.summary(findings, files=count))
    elif form == "github":
        for line in show.as_github(findings):
            click.echo(line)
    else:
        click.echo(show.as_json(findings) if form == "json" else show.as_sarif(findings))
    if show.has_errors(findings) or (strict and show.has_warnings(findings)):
        sys.exit(1)
