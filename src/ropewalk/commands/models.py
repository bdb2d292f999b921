"""`ropewalk models ...` and `ropewalk explain`: registered models, which is in use, and where each came from."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ropewalk.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from ropewalk.registry.catalog import Difference, Moved, VersionLine

_METRICS = 3

_server = click.option(
    "--tracking-uri",
    default="",
    help="MLflow server or store.  [default: MLFLOW_TRACKING_URI, else .ropewalk/mlflow.db]",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")


@click.group()
def models() -> None:
    """Look at registered models, and choose which version is in use.

    MODEL is a name (its champion), NAME@alias or NAME/version. Aliases: champion is in use, previous-champion was
    before it, challenger is the newest.

    \b
    Examples:
      ropewalk models ls
      ropewalk models show fraud                all versions, with verdicts and metrics
      ropewalk models diff fraud fraud@challenger
      ropewalk models promote fraud/7           make version 7 the champion
      ropewalk models rollback fraud            go back to the champion before
      ropewalk explain fraud@champion           where it came from
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)


@models.command(name="ls")
@_server
@_as_json
def list_command(*, tracking_uri: str, as_json: bool) -> None:
    """List the registered models with their champions and challengers."""
    from ropewalk.registry.catalog import list_models

    found = list_models(tracking_uri)
    if as_json:
        _print_json([asdict(model) for model in found])
        return
    table = _table("model", "versions", "champion", "challenger", "previous champion", "changed")
    for model in found:
        named = [model.aliases.get(alias, "") for alias in ("champion", "challenger", "previous-champion")]
        table.add_row(_plain(model.name), str(model.versions), *named, model.updated)
    _print(table)


@models.command(name="show")
@click.argument("model")
@_server
@_as_json
def show_command(*, model: str, tracking_uri: str, as_json: bool) -> None:
    """Show the versions of MODEL, newest first: one of them when MODEL names an alias or a version."""
    from ropewalk.registry.catalog import show

    versions = show(model, tracking_uri)
    if as_json:
        _print_json([asdict(version) for version in versions])
        return
    table = _table("version", "aliases", "created", "verdict", "metrics", "data", "why")
    for version in versions:
        table.add_row(*map(_plain, _version_row(version, everything=len(versions) == 1)))
    _print(table)


@models.command(name="promote")
@click.argument("model")
@click.option("--expect", metavar="VERSION", help="Refuse unless this version is the champion now; 'none' for none.")
@click.option("--despite-hold", is_flag=True, help="Promote it although its evaluation says hold.")
@_server
@_as_json
def promote_command(*, model: str, expect: str | None, despite_hold: bool, tracking_uri: str, as_json: bool) -> None:
    """Make a version the champion: MODEL is NAME/version or NAME@alias."""
    from ropewalk.registry.catalog import promote

    expected = "" if expect == "none" else expect
    _tell(promote(model, tracking_uri=tracking_uri, expected=expected, despite_hold=despite_hold), as_json=as_json)


@models.command(name="rollback")
@click.argument("model")
@_server
@_as_json
def rollback_command(*, model: str, tracking_uri: str, as_json: bool) -> None:
    """Go back to the champion before this one: MODEL is a name."""
    from ropewalk.registry.catalog import roll_back

    _tell(roll_back(model, tracking_uri=tracking_uri), as_json=as_json)


@models.command(name="diff")
@click.argument("a")
@click.argument("b")
@_server
@_as_json
def diff_command(*, a: str, b: str, tracking_uri: str, as_json: bool) -> None:
    """Show what differs between the versions A and B: test metrics, parameters, data and code."""
    from ropewalk.registry.catalog import diff

    difference = diff(a, b, tracking_uri)
    if as_json:
        _print_json(asdict(difference))
        return
    for table in _difference_tables(difference):
        _print(table)


@click.command()
@click.argument("model", required=False)
@click.option(
    "--data", metavar="HASH", help="Instead: the models made of this data version, by hash, commit or digest."
)
@click.option(
    "--page", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this HTML file instead of printing."
)
@_server
@_as_json
def explain(*, model: str | None, data: str | None, page: Path | None, tracking_uri: str, as_json: bool) -> None:
    """Tell where MODEL (NAME, NAME@alias or NAME/version) came from: decision, run, pipeline, parameters, data.

    \b
    Examples:
      ropewalk explain fraud
      ropewalk explain fraud/3 --json
      ropewalk explain fraud@challenger --page lineage.html    cards and tables to show around
      ropewalk explain --data md5:1a79a4d60de6718e8e5b326e338ae533     the models made of that version of the data
    """  # noqa: D301
    from ropewalk.registry.explain import explain_model, models_of_data, tree
    from ropewalk.registry.explain_page import lineage_page
    from ropewalk.report.page import write_page

    if (model is None) == (data is None):
        raise ConfigError("Give a model, as in `ropewalk explain fraud`, or --data HASH, and not both.")
    if page and not (model and page.parent.is_dir()):
        reason = f"there is no folder {str(page.parent)!r}" if model else "it tells of a model, and none is given"
        raise ConfigError(
            f"--page {page}: {reason}. Write, for instance, `ropewalk explain fraud --page lineage.html`."
        )
    told = explain_model(model, tracking_uri) if model else models_of_data(data or "", tracking_uri)
    if page:
        write_page(page, lineage_page(told))
        click.echo(f"Written to {page}.")
    elif as_json:
        _print_json(told)
    else:
        click.echo(tree(told))


def _version_row(version: "VersionLine", *, everything: bool) -> list[str]:
    from ropewalk.registry.catalog import INTERVAL_ENDS
    from ropewalk.report.format import short

    metrics = [(name, value) for name, value in version.metrics.items() if not name.endswith(INTERVAL_ENDS)]
    shown = metrics[: None if everything else _METRICS]
    return [
        version.version,
        "\n".join(version.aliases),
        version.created,
        version.verdict,
        "\n".join(f"{name} {value:.4g}" for name, value in shown),
        version.data_hash if everything else short(version.data_hash),
        version.note or version.reason,
    ]


def _difference_tables(difference: "Difference") -> list["Table"]:
    tables = []
    parts: dict[str, Mapping[str, tuple[Any, Any]]] = {
        "metric": difference.metrics,
        "parameter": difference.parameters,
        "lineage": difference.lineage,
    }
    for title, differences in parts.items():
        table = _table(title, difference.a, difference.b)
        for name, values in differences.items():
            table.add_row(_plain(name), *(_plain(_value(value)) for value in values))
        tables += [table] if differences else []
    return tables or [_table("No metric, parameter or fact differs.")]


def _value(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _tell(moved: "Moved", *, as_json: bool) -> None:
    if as_json:
        _print_json(asdict(moved))
    elif moved.before == moved.champion:
        click.echo(f"Version {moved.champion} of {moved.name!r} is the champion already.")
    else:
        before = f"version {moved.before} was" if moved.before else "there was none"
        click.echo(f"Version {moved.champion} of {moved.name!r} is the champion now; {before} before.")


def _table(*headers: str) -> "Table":
    from rich.table import Table

    return Table(*headers, box=None)


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)


def _print(table: "Table") -> None:
    from ropewalk.launch.console import open_console

    open_console().print(table)


def _print_json(content: object) -> None:
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))
