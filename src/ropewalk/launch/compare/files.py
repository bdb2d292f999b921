"""Compares two files, or two folders of compiled pipelines file by file."""

from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import ConfigError
from ropewalk.launch.compare.change import BEHAVIOUR, BREAKING, Change
from ropewalk.launch.compare.compare import compare_texts
from ropewalk.launch.lint.files import read_text


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One pair of files."""

    name: str
    """The file, below both folders; of two files the second's name."""
    changes: list[Change]
    """From A to B; [] when both mean the same."""


def compare_paths(before: Path, after: Path) -> list[Compared]:
    """Return what changed from `before` to `after`, both files or both folders; files that mean the same included.

    Raises:
        ConfigError: One is a file and the other a folder, or one cannot be read or holds no compiled pipeline.
    """
    if before.is_dir() != after.is_dir():
        raise ConfigError(f"{before} and {after}: need two files, or two folders.")
    if not before.is_dir():
        sources = (str(before), str(after))
        return [Compared(name=after.name, changes=compare_texts(read_text(before), read_text(after), sources=sources))]
    names = [{file.relative_to(folder) for file in folder.rglob("*.yaml")} for folder in (before, after)]
    if not names[0] | names[1]:
        raise ConfigError(f"Neither {before} nor {after} holds a .yaml file. Compile first: `python compile.py`.")
    return [_pair(before / name, after / name, str(name)) for name in sorted(names[0] | names[1])]


def compare_optional(before: str, after: str, *, name: str) -> Compared:
    """Return what changed between two texts, of which one may be "": a file that is not there."""
    if not before:
        changes = [Change(weight=BEHAVIOUR, subject=f"file {name}", what="added")]
    elif not after:
        changes = [Change(weight=BREAKING, subject=f"file {name}", what="removed")]
    else:
        changes = compare_texts(before, after, sources=(f"{name} (before)", f"{name} (after)"))
    return Compared(name=name, changes=changes)


def _pair(before: Path, after: Path, name: str) -> Compared:
    old, new = (read_text(file) if file.is_file() else "" for file in (before, after))
    return compare_optional(old, new, name=name)
