"""Fetches a path of a Git repository at one commit, whether Git or DVC tracks it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ropewalk.data import dvc_files, git
from ropewalk.data.plain import copy_plain
from ropewalk.data.tables import is_table
from ropewalk.errors import SourceError, nearest
from ropewalk.progress import say

_LINK = "120000"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_NOT_DATA = (".dvc", ".dvcignore", ".gitignore", ".gitattributes", ".gitmodules")


@dataclass(frozen=True, kw_only=True)
class Versioned:
    """What was fetched."""

    commit: str
    """The commit in full, 40 hex digits."""
    path: str
    """The path in the repository, tidied."""
    hash: str
    """ "md5:<hex>" as DVC recorded it, or "sha256:<hex>" of the bytes."""


def fetch_versioned(repository: str, *, path: str, revision: str, destination: Path) -> Versioned:
    """Put `path` as it was at `revision` into the new folder `destination`, every byte checked.

    Args:
        repository: A URL, or a folder on this machine.
        path: A file or folder in it.
        revision: A tag, branch or commit; "" is the head of the default branch.
        destination: The folder to make.

    Raises:
        SourceError: The repository, revision or path cannot be had.
        DataError: The DVC remote has other bytes than those recorded.
        ServiceError: The server cannot be reached.
    """
    git.refuse_credentials(repository)
    place = PurePosixPath(path)
    if place.is_absolute() or ".." in place.parts:
        raise SourceError(f"The path {path!r} leads out of the repository. Give it relative to the root folder.")
    commit = git.resolve(repository, revision)
    with tempfile.TemporaryDirectory(prefix="ropewalk-git-") as scratch:
        checkout = Path(scratch).resolve() / "checkout"
        commit = git.check_out(repository, commit, checkout)
        say(f"{repository} at {revision or 'the head of its default branch'}: commit {commit}.")
        _check_path(checkout, place, repository)
        content_hash = _fetch(checkout, place, repository, destination)
        _refuse_pointers(destination)
    return Versioned(commit=commit, path=place.as_posix(), hash=content_hash)


def _check_path(checkout: Path, path: PurePosixPath, repository: str) -> None:
    modes = git.tracked_files(checkout)
    links = [name for name, mode in modes.items() if mode == _LINK and PurePosixPath(name).is_relative_to(path)]
    if links and path.parts:
        raise SourceError(f"{links[0]} is a symbolic link in {repository}. Name the file that it stands for.")
    by_git = [name for name in modes if ".dvc/" not in name and not name.endswith(_NOT_DATA)]
    by_dvc = _tracked_by_dvc(checkout, list(modes))
    tracked = sorted([*by_git, *by_dvc])
    if not path.parts:
        tables = [name for name in tracked if is_table(name)] or tracked
        raise SourceError(
            f"{repository} is a Git repository: name a file or folder in it as the path. It has {_some(tables)}."
        )
    is_tracked = any(PurePosixPath(name).is_relative_to(path) for name in tracked)
    if not is_tracked and not any(path.is_relative_to(name) for name in by_dvc):
        close = nearest(path.as_posix(), tracked)
        raise SourceError(f"{path} is not tracked in {repository}.{close} It has {_some(tracked)}.")


def _tracked_by_dvc(checkout: Path, names: list[str]) -> list[str]:
    roots = {PurePosixPath(name).parent.parent for name in names if name.endswith(".dvc/config")}
    return [(root / out).as_posix() for root in roots for out in dvc_files.tracked_by_dvc(checkout / root)]


def _fetch(checkout: Path, path: PurePosixPath, repository: str, destination: Path) -> str:
    root = next((folder for folder in [path, *path.parents] if (checkout / folder / ".dvc").is_dir()), None)
    if root is None or (checkout / path).is_file():
        return copy_plain(checkout / path, destination)
    origin = None if git.is_url(repository) else Path(repository).absolute() / root
    inside = path.relative_to(root).as_posix()
    return dvc_files.fetch(checkout / root, inside, origin=origin, destination=destination)


def _refuse_pointers(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and _starts_with(file, _LFS_POINTER):
            raise SourceError(f"{file.name} is kept in Git LFS, which cannot be read yet. Track it with DVC or Git.")


def _starts_with(file: Path, beginning: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(beginning)) == beginning


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{', '.join(names[:20]) or 'no files'}{more}"
