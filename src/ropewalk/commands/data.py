"""`ropewalk data ...`: the versions of a data set, and what changed between two of them."""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from ropewalk.data.compare import Difference
    from ropewalk.data.history import Version

_SHORT = 10


@click.group()
def data() -> None:
    """Look at the versions of data in a Git repository, tracked by DVC or by Git itself.

    REPOSITORY is a URL or a folder, PATH a file or folder in it.

    \b
    Examples:
      ropewalk data ls https://example.org/data.git customers.csv
      ropewalk data diff https://example.org/data.git customers.csv customers@v1.0.0 customers@v1.1.0
      ropewalk data diff . customers.csv customers@v1.0.0

    To fetch a version: python -m ropewalk.data pull --help. To make one: python -m ropewalk.data push --help.
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)


@data.command(name="ls")
@click.argument("repository")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print the versions as JSON.")
def list_command(*, repository: str, path: str, as_json: bool) -> None:
    """List the versions of PATH in REPOSITORY, on all branches, newest first; no data are fetched."""
    from ropewalk.data.history import list_versions

    versions = list_versions(repository, path)
    if as_json:
        click.echo(json.dumps([asdict(version) for version in versions], indent=2, ensure_ascii=False))
        return
    from ropewalk.launch.console import open_console

    open_console().print(_versions_table(versions))


@data.command(name="diff")
@click.argument("repository")
@click.argument("path")
@click.argument("a")
@click.argument("b", default="")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def diff_command(*, repository: str, path: str, a: str, b: str, as_json: bool) -> None:
    """Show what changed at PATH in REPOSITORY from revision A to B: files, bytes, rows and columns.

    A and B are tags, branches or commits; without B it is the head of the default branch. Both versions are fetched.
    """
    from ropewalk.data.compare import compare

    with redirect_stdout(sys.stderr):
        difference = compare(repository, path, a, b)
    if as_json:
        click.echo(json.dumps(asdict(difference), indent=2, ensure_ascii=False))
        return
    from ropewalk.launch.console import open_console

    console = open_console()
    for line in _summary(difference):
        console.print(line, markup=False, soft_wrap=True)
    for table in _tables(difference):
        console.print()
        console.print(table)


def _versions_table(versions: list["Version"]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("commit", "date", "tags", "author", "files", "bytes", "hash", "message", box=None)
    for column in ("files", "bytes"):
        next(one for one in table.columns if one.header == column).justify = "right"
    for version in versions:
        sizes = [f"{version.files:,}", f"{version.bytes:,}"] if version.hash else ["", ""]
        kind, _, digest = version.hash.partition(":")
        table.add_row(
            version.commit[:_SHORT],
            version.date[:16].replace("T", " "),
            Text("\n".join(version.tags)),
            Text(version.author),
            *sizes,
            f"{kind}:{digest[:_SHORT]}" if version.hash else "removed",
            Text(version.message),
        )
    return table


def _summary(difference: "Difference") -> list[str]:
    lines = [
        f"a  commit {difference.commit_a[:_SHORT]}  {difference.bytes_a:,} bytes  {difference.hash_a}",
        f"b  commit {difference.commit_b[:_SHORT]}  {difference.bytes_b:,} bytes  {difference.hash_b}",
    ]
    if not difference.files:
        return [*lines, "No file differs."]
    table = difference.table
    if table is None:
        return [*lines, f"No table to compare: {difference.no_table}"]
    return [*lines, f"rows  {table.rows_a:,} -> {table.rows_b:,} ({table.rows_b - table.rows_a:+,})"]


def _tables(difference: "Difference") -> list["Table"]:
    from rich.table import Table
    from rich.text import Text

    columns = Table("column", "change", "type in a", "type in b", box=None)
    for column in difference.table.columns if difference.table else []:
        change = _change(column.type_a, column.type_b)
        columns.add_row(Text(column.name), change, column.type_a or "", column.type_b or "")
    files = Table("file", "change", "bytes in a", "bytes in b", box=None)
    for file in difference.files:
        sizes = ["" if size is None else f"{size:,}" for size in (file.bytes_a, file.bytes_b)]
        files.add_row(Text(file.name), _change(file.bytes_a, file.bytes_b), *sizes)
    for column_of_sizes in files.columns[2:]:
        column_of_sizes.justify = "right"
    return [table for table in (columns, files) if table.row_count]


def _change(a: object, b: object) -> str:
    return "added" if a is None else "removed" if b is None else "changed"
