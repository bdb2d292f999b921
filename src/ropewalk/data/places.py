"""Tells what a source is: a bundled sample, a path of a Git repository, or a file or folder outside of one."""

from dataclasses import dataclass
from pathlib import Path

from ropewalk.data import git
from ropewalk.data.samples import check_sample
from ropewalk.errors import SourceError

_SAMPLE = "sample:"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A table that comes with scikit-learn."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Versioned:
    """A path in a Git repository, at a revision."""

    repository: str
    """A URL, or an absolute folder."""
    path: str
    revision: str
    """A tag, branch or commit; "" is the head of the default branch."""


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A file or folder as it lies there."""

    file: Path


def find_place(source: str, *, path: str, revision: str) -> Sample | Versioned | Plain:
    """Return what `source` and the `path` in it name; nothing is read of a repository yet.

    Raises:
        SourceError: There is no such source, or it cannot have such a path or revision.
    """
    if not source:
        raise SourceError("No data are named. Name a file, a folder, a Git repository or sample:breast_cancer.")
    if source.startswith(_SAMPLE):
        if path or revision:
            raise SourceError(f"{source} is a sample: it has neither paths nor revisions. Leave both empty.")
        check_sample(source.removeprefix(_SAMPLE))
        return Sample(name=source.removeprefix(_SAMPLE))
    if git.is_url(source) or git.is_local_repository(source):
        address = source if git.is_url(source) else str(Path(source).absolute())
        return Versioned(repository=address, path=path, revision=revision)
    file = Path(source, path)
    if not revision:
        return Plain(file=_inside(Path(source), file))
    repository = git.enclosing_repository(file.resolve())
    if repository is None:
        raise SourceError(
            f"{source} is not in a Git repository, so it has no revision {revision!r}. Leave the revision "
            "empty, or name a repository as the data."
        )
    inside = file.resolve().relative_to(repository).as_posix()
    return Versioned(repository=str(repository), path=inside, revision=revision)


def _inside(folder: Path, file: Path) -> Path:
    if not file.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"The path leads out of {folder}: {file.resolve()}. Name that file or folder as the data.")
    return file
