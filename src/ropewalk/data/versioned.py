"""Fetches a path of a Git repository at one commit, whether Git or DVC tracks it, and nothing else of it."""

import fnmatch
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ropewalk.data import dvc_files, git
from ropewalk.data.beside import schema_names
from ropewalk.data.cache import Cache
from ropewalk.data.dvc_files import DvcFiles, Tracked
from ropewalk.data.plain import copy_files
from ropewalk.data.tables import is_table
from ropewalk.data.transfer import Transfer, Wanted
from ropewalk.errors import SourceError, nearest
from ropewalk.progress import say

_LINK = "120000"
_SUBMODULE = "160000"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_NOT_DATA = (".dvc", ".dvcignore", ".gitignore", ".gitattributes", ".gitmodules")
_PIPELINE = "dvc.yaml"
_READ_BY_DVC = (".dvc", ".dvc/config", _PIPELINE, "dvc.lock", ".dvcignore")
_READ_BY_PIPELINES = (".yaml", ".yml", ".toml", ".py", "params.json")


@dataclass(frozen=True, kw_only=True)
class Versioned:
    """What was fetched."""

    commit: str
    """The commit in full, 40 hex digits."""
    path: str
    """The path in the repository, tidied."""
    hash: str
    """ "md5:<hex>" as DVC recorded it, or "sha256:<hex>" of the bytes."""
    sha256: Mapping[str, str]
    """The SHA-256 (hex) of files that were hashed on their way, by their path in the destination."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit of a repository, of which files are checked out as they are needed."""

    repository: str
    hash: str
    folder: Path
    modes: dict[str, str]
    dvc: list[DvcFiles]

    def check_out(self, names: list[str]) -> None:
        """Bring files of the commit into `folder`."""
        git.check_out(self.repository, self.hash, names, self.folder)

    def tracked_by_git(self) -> list[str]:
        """Return the names of the files that Git keeps, and that are data."""
        return [name for name in self.modes if ".dvc/" not in name and not name.endswith(_NOT_DATA)]

    def tracked_by_dvc(self) -> dict[PurePosixPath, Tracked]:
        """Return what DVC keeps, by path."""
        return {tracked.path: tracked for files in self.dvc for tracked in files.tracked}


def fetch_versioned(
    repository: str, *, path: str, revision: str, pattern: str, destination: Path, staging: Path, cache: Path | None
) -> Versioned:
    """Put `path` as it was at `revision` into the new folder `destination`, every byte checked.

    Args:
        repository: A URL, or a folder on this machine.
        path: A file or folder in it.
        revision: A tag, branch or commit; "" is the head of the default branch.
        pattern: Which files of a folder, such as "2024-*/*.parquet"; "" is all of them.
        destination: The folder to make.
        staging: A folder beside it that keeps what has come while not all is there, for the next try.
        cache: A folder of objects that other runs share; it is asked first.

    Raises:
        SourceError: The repository, revision or path cannot be had.
        DataError: The DVC remote has other bytes than those recorded.
        ServiceError: The server cannot be reached.
        StorageError: The disk is full, or the cache cannot be written.
    """
    place = PurePosixPath(path)
    with _commit(repository, place, revision) as commit:
        say(f"{repository} at {revision or 'the head of its default branch'}: commit {commit.hash}.")
        opened = None if cache is None else Cache(cache)
        content_hash, sha256 = _fetch(commit, place, pattern, destination, staging, opened)
        _bring_schema(commit, place, destination)
    return Versioned(commit=commit.hash, path=place.as_posix(), hash=content_hash, sha256=sha256)


def resolve_versioned(repository: str, *, path: str, revision: str) -> tuple[str, str]:
    """Return the commit (in full) that `revision` names now, and the hash that DVC recorded there for `path`.

    The hash is "md5:<hex>"; "" where Git tracks the path itself, or DVC tracks it as part of something else.

    Raises:
        SourceError: The repository, revision or path cannot be had.
        ServiceError: The server cannot be reached.
    """
    place = PurePosixPath(path)
    with _commit(repository, place, revision) as commit:
        tracked = commit.tracked_by_dvc().get(place)
        if tracked is None:
            return commit.hash, ""
        dvc_files.check_oid(tracked.oid, path)
        return commit.hash, f"md5:{tracked.oid}"


@contextmanager
def _commit(repository: str, path: PurePosixPath, revision: str) -> Iterator[Commit]:
    """Give the commit that `revision` names, which has `path`."""
    git.refuse_credentials(repository)
    if path.is_absolute() or ".." in path.parts:
        raise SourceError(f"The path '{path}' leads out of the repository. Give it relative to the root folder.")
    named = git.resolve(repository, revision)
    with tempfile.TemporaryDirectory(prefix="ropewalk-git-") as scratch:
        commit = open_commit(repository, named, Path(scratch).resolve() / "checkout")
        _check_path(commit, path)
        yield commit


def open_commit(repository: str, named: str, folder: Path) -> Commit:
    """Fetch the list of the commit's files, and of the files only those that DVC reads."""
    commit = git.fetch_commit(repository, named, folder)
    modes = git.files_of(folder, commit)
    roots = [PurePosixPath(name).parent.parent for name in modes if f"/{name}".endswith("/.dvc/config")]
    if roots:
        has_pipeline = any(PurePosixPath(name).name == _PIPELINE for name in modes)
        ends = (*_READ_BY_DVC, *_READ_BY_PIPELINES) if has_pipeline else _READ_BY_DVC
        files = [name for name, mode in modes.items() if mode not in {_LINK, _SUBMODULE} and name.endswith(ends)]
        git.check_out(repository, commit, files, folder)
    origin = None if git.is_url(repository) else Path(repository).absolute()
    dvc = [dvc_files.read(folder, root, origin=origin / root if origin else None) for root in roots]
    return Commit(repository=repository, hash=commit, folder=folder, modes=modes, dvc=dvc)


def _check_path(commit: Commit, path: PurePosixPath) -> None:
    links = [name for name, mode in commit.modes.items() if mode == _LINK and PurePosixPath(name).is_relative_to(path)]
    if links and path.parts:
        raise SourceError(f"{links[0]} is a symbolic link in {commit.repository}. Name the file that it stands for.")
    by_dvc = [tracked.as_posix() for tracked in commit.tracked_by_dvc()]
    tracked = sorted([*commit.tracked_by_git(), *by_dvc])
    if not path.parts:
        tables = [name for name in tracked if is_table(name)] or tracked
        raise SourceError(
            f"{commit.repository} is a Git repository: name a file or folder in it as the path. It has {_some(tables)}."
        )
    is_tracked = any(PurePosixPath(name).is_relative_to(path) for name in tracked)
    if not is_tracked and not any(path.is_relative_to(name) for name in by_dvc):
        close = nearest(path.as_posix(), tracked)
        raise SourceError(f"{path} is not tracked in {commit.repository}.{close} It has {_some(tracked)}.")


def _fetch(
    commit: Commit, path: PurePosixPath, pattern: str, destination: Path, staging: Path, cache: Cache | None
) -> tuple[str, dict[str, str]]:
    """Return the hash of the whole and, of files that DVC tracks, the SHA-256 by name."""
    by_git = _matching(
        (name for name in commit.tracked_by_git() if PurePosixPath(name).is_relative_to(path)), path, pattern
    )
    sha256: dict[str, str] = {}
    hashes = []
    for files in commit.dvc:
        for tracked in files.tracked:
            if tracked.path.is_relative_to(path) or path.is_relative_to(tracked.path):
                about = tracked.path if tracked.path.is_relative_to(path) else path
                transfer = Transfer(source=files.open_source(tracked, about), staging=staging, cache=cache)
                recorded, fetched = _fetch_tracked(tracked, path, pattern, transfer, destination)
                hashes.append(recorded)
                sha256 |= fetched
    if not by_git and not sha256:
        raise SourceError(f"No file of {path} in {commit.repository} matches the pattern {pattern!r}. Change it.")
    if not by_git:
        return (hashes[0] if len(hashes) == 1 else ""), sha256
    commit.check_out(list(by_git.values()))
    content_hash = copy_files({name: commit.folder / file for name, file in by_git.items()}, destination)
    _refuse_pointers(destination, by_git)
    return ("" if sha256 else content_hash), sha256


def _bring_schema(commit: Commit, path: PurePosixPath, destination: Path) -> None:
    """Put the schema that Git tracks beside the one table `path` beside it again."""
    if not (destination / path.name).is_file():
        return
    tracked = set(commit.tracked_by_git())
    names = [name for name in schema_names(path) if str(path.with_name(name)) in tracked]
    commit.check_out([str(path.with_name(name)) for name in names])
    for name in names:
        shutil.copyfile(commit.folder / path.with_name(name), destination / name)


def _fetch_tracked(
    tracked: Tracked, path: PurePosixPath, pattern: str, transfer: Transfer, destination: Path
) -> tuple[str, dict[str, str]]:
    """Return DVC's hash of `path`, "" where it has none of its own, and the SHA-256 of each file by its name."""
    dvc_files.check_oid(tracked.oid, str(tracked.path))
    listed = {tracked.path: tracked.oid}
    if tracked.oid.endswith(".dir"):
        listed = {tracked.path / name: oid for name, oid in dvc_files.list_folder(tracked, transfer).items()}
    oids = {file: oid for file, oid in listed.items() if file.is_relative_to(path)}
    if not oids:
        names = [*map(str, listed)]
        close = nearest(str(path), names)
        raise SourceError(f"{path} is not tracked by Git or DVC.{close} {tracked.path} has {_some(names)}.")
    chosen = _matching((file.as_posix() for file in oids), path, pattern)
    wanted = [
        Wanted(name=name, shown=file, oid=oids[PurePosixPath(file)], kind=tracked.kind) for name, file in chosen.items()
    ]
    whole = tracked.path == path and not pattern
    sha256 = transfer.fetch(wanted, destination, tracked.bytes if whole else None)
    recorded = {**oids, tracked.path: tracked.oid}.get(path, "")
    return (f"md5:{recorded}" if recorded else ""), sha256


def _matching(files: Iterable[str], path: PurePosixPath, pattern: str) -> dict[str, str]:
    """Return the files that the pattern allows, by what they are called below `path`."""
    named = {_name_below(file, path): file for file in files}
    return {name: file for name, file in named.items() if not pattern or fnmatch.fnmatchcase(name, pattern)}


def _name_below(file: str, path: PurePosixPath) -> str:
    place = PurePosixPath(file)
    return place.name if place == path else place.relative_to(path).as_posix()


def _refuse_pointers(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        if _starts_with(folder / name, _LFS_POINTER):
            raise SourceError(f"{name} is kept in Git LFS, which cannot be read yet. Track it with DVC or Git.")


def _starts_with(file: Path, beginning: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(beginning)) == beginning


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{', '.join(names[:20]) or 'no files'}{more}"
