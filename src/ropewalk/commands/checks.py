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


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Output.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["breaking", "behaviour", "cosmetic", "never"]),
    default="cosmetic",
    show_default=True,
    help="The lightest change that makes the exit code 1.",
)
def diff(*, a: Path, b: Path, form: str, fail_on: str) -> None:
    """Say what differs in meaning between the compiled pipelines A and B: two files, or two folders of them.

    \b
    breaking   who starts A cannot start B in the same way: parameters gone, required or of another type
    behaviour  B does something else: images, code, wiring, resources, defaults
    cosmetic   only texts differ: descriptions, comments, layout

    \b
    Examples:
      ropewalk diff old/training.yaml build/training.yaml
      ropewalk diff old build --format markdown > comment.md
      ropewalk diff old build --fail-on breaking

    Exit codes: 0 the same, or nothing as heavy as --fail-on; 1 different; 2 trouble.
    """  # noqa: D301
    from ropewalk.launch.compare import show
    from ropewalk.launch.compare.change import CLASSES
    from ropewalk.launch.compare.files import compare_paths

    compared = compare_paths(a, b)
    if form == "text":
        for line in show.as_text(compared):
            click.echo(line)
    else:
        click.echo(show.as_json(compared) if form == "json" else show.as_markdown(compared))
    heavy = CLASSES[: CLASSES.index(fail_on) + 1] if fail_on in CLASSES else ()
    if any(change.weight in heavy for one in compared for change in one.changes):
        sys.exit(1)


@click.command()
@click.option(
    "--profile",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The cluster's profile; without it: bare.",
)
@click.option("--namespace", default="", help="Where the steps run; without it the profile's, else your context's.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), default=30.0, show_default=True, help="Seconds for all checks."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--strict", is_flag=True, help="Exit 1 on what cannot be told, too.")
def doctor(*, file: Path | None, namespace: str, timeout: float, as_json: bool, strict: bool) -> None:
    """Look whether a cluster has what a profile says, before a GPU is spent. Nothing is changed or started.

    \b
    ok       it is so
    FAILED   it is not; the line below says how to mend it
    ?        it cannot be told from here, or by you; the line below says who can
    -        the profile does not need it

    \b
    Examples:
      ropewalk doctor --profile cluster.yaml
      ropewalk doctor --profile cluster.yaml --json > health.json

    Kubernetes is asked as kubectl would ask: by KUBECONFIG, or by this pod's service account.
    Exit codes: 0 nothing failed, 1 something did, 2 wrong usage or profile.
    """  # noqa: D301
    import json
    from dataclasses import asdict

    from ropewalk.launch.doctor.doctor import examine
    from ropewalk.launch.doctor.result import FAILED, UNKNOWN, Result
    from ropewalk.launch.profiles import Profile, read_profile
    from ropewalk.launch.profiles.apply import check_steps
    from ropewalk.launch.profiles.known import known_images, known_steps

    def say(result: Result) -> None:
        mark = {"ok": "ok", "failed": "FAILED", "unknown": "?", "skipped": "-"}[result.state]
        click.echo(f"{mark:<7} {result.check}: {result.found}")
        if result.fix:
            click.echo("".join(f"{'':8}{line}\n" for line in result.fix.splitlines()), nl=False)

    profile = read_profile(file) if file else Profile()
    check_steps(profile, set(known_steps()))
    results = examine(
        profile,
        steps=known_steps(),
        images=list(known_images(profile).values()),
        namespace=namespace,
        seconds=timeout,
        say=(lambda result: None) if as_json else say,
    )
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False))
    bad = {FAILED, UNKNOWN} if strict else {FAILED}
    if any(result.state in bad for result in results):
        sys.exit(1)
