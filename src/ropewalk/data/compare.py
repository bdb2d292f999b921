"""Compares two versions of a path: its files, and the rows and columns of the table that they hold."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ropewalk.artifacts import Manifest
from ropewalk.data.pull import pull
from ropewalk.data.tables import FOLDER, is_table, read_table
from ropewalk.errors import DataError


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file that differs; a size is None where there is no such file."""

    name: str
    bytes_a: int | None
    bytes_b: int | None


@dataclass(frozen=True, kw_only=True)
class ColumnChange:
    """One column that differs; a type is None where there is no such column."""

    name: str
    type_a: str | None
    type_b: str | None


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """What became of the table."""

    rows_a: int
    rows_b: int
    columns: list[ColumnChange]
    """The columns that were added, removed or have another type."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What changed between the versions a and b."""

    commit_a: str
    commit_b: str
    hash_a: str
    hash_b: str
    bytes_a: int
    bytes_b: int
    files: list[FileChange]
    """The files that were added, removed or changed."""
    same_files: int
    table: TableChange | None
    """None when the versions hold no table that can be read as one."""
    no_table: str
    """Why there is none, "" when there is one."""


def compare(repository: str, path: str, a: str, b: str = "") -> Difference:
    """Return what changed at `path` from the revision `a` to `b`; both are pulled, every byte checked.

    Args:
        repository: A URL, or a folder on this machine.
        path: A file or folder in it that DVC or Git tracks.
        a: A tag, branch or commit.
        b: Another one; "" is the head of the default branch.

    Raises:
        SourceError: The repository, a revision or the path cannot be had.
        DataError: A DVC remote has other bytes than those recorded.
        ServiceError: A server cannot be reached.
        StorageError: The disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="ropewalk-compare-") as scratch:
        folders = (Path(scratch) / "a", Path(scratch) / "b")
        first = pull(repository, path=path, revision=a, output=folders[0])
        second = pull(repository, path=path, revision=b, output=folders[1])
        table, no_table = _compare_tables(*folders, first, second)
    names = sorted(first.files.keys() | second.files.keys())
    changed = [name for name in names if first.files.get(name) != second.files.get(name)]
    return Difference(
        commit_a=first.facts["commit"],
        commit_b=second.facts["commit"],
        hash_a=first.facts["hash"],
        hash_b=second.facts["hash"],
        bytes_a=first.facts["bytes"],
        bytes_b=second.facts["bytes"],
        files=[
            FileChange(name=name.removeprefix(f"{FOLDER}/"), bytes_a=_size(first, name), bytes_b=_size(second, name))
            for name in changed
        ],
        same_files=len(names) - len(changed),
        table=table,
        no_table=no_table,
    )


def _size(manifest: Manifest, name: str) -> int | None:
    entry = manifest.files.get(name)
    return int(entry["bytes"]) if entry else None


def _compare_tables(a: Path, b: Path, first: Manifest, second: Manifest) -> tuple[TableChange | None, str]:
    if not any(map(is_table, first.files)) or not any(map(is_table, second.files)):
        return None, "There is no CSV, JSON lines or Parquet file in one of the versions."
    try:
        old, new = read_table(a), read_table(b)
    except DataError as error:
        return None, str(error)
    return TableChange(rows_a=old.num_rows, rows_b=new.num_rows, columns=_compare_columns(old, new)), ""


def _compare_columns(old: pa.Table, new: pa.Table) -> list[ColumnChange]:
    types_a = {field.name: str(field.type) for field in old.schema}
    types_b = {field.name: str(field.type) for field in new.schema}
    return [
        ColumnChange(name=name, type_a=types_a.get(name), type_b=types_b.get(name))
        for name in types_a | types_b
        if types_a.get(name) != types_b.get(name)
    ]
