"""Pulls a table, at one version, from where it is kept into a raw-data artifact."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ropewalk.artifacts import RAW_DATA, Manifest, write_artifact
from ropewalk.data import git
from ropewalk.data.plain import content_hash, copy_files, plain_files
from ropewalk.data.tables import FOLDER
from ropewalk.errors import SourceError, StorageError
from ropewalk.progress import say

_SAMPLE = "sample:"


def pull(
    source: str,
    *,
    path: str = "",
    revision: str = "",
    pattern: str = "",
    cache: Path | None = None,
    output: Path,
) -> Manifest:
    """Write the raw-data artifact `output` and return its manifest, which says where every byte came from.

    Args:
        source: A Git repository (URL or folder), a plain file or folder, or `sample:` and a sample's name.
        path: File or folder in the repository, tracked by DVC or Git; or in the plain folder.
        revision: Tag, branch or commit of the repository; empty is the head of its default branch.
        pattern: Which files of a folder, such as `2024-*.parquet` (`*` crosses folders); empty is all of them.
        cache: Folder that keeps what DVC tracks for other runs, also at the same time; none without it.
        output: The folder to make.

    Raises:
        SourceError: The source, revision or path cannot be had.
        DataError: A DVC remote has other bytes than those recorded.
        ServiceError: A server cannot be reached; trying again may help, and goes on where this try ended.
        StorageError: The disk is full.
    """
    wanted = _Request(source.strip(), path.strip(), revision.strip(), pattern.strip(), cache)
    if not wanted.source:
        raise SourceError("No data are named. Name a file, a folder, a Git repository or sample:breast_cancer.")
    staging = output.with_name(f"{output.name}.fetched")
    try:
        with write_artifact(output, RAW_DATA) as draft:
            destination = draft.folder / FOLDER
            facts = {"source": wanted.source, "repository": "", "commit": "", "path": wanted.path}
            facts |= {"revision": wanted.revision, "hash": ""} | ({"pattern": wanted.pattern} if wanted.pattern else {})
            fetched = _fetch(wanted, destination, staging)
            draft.facts |= facts | fetched.facts
            draft.sha256 |= {f"{FOLDER}/{name}": digest for name, digest in fetched.sha256.items()}
            files = [file for file in destination.rglob("*") if file.is_file()]
            draft.facts |= {"files": len(files), "bytes": sum(file.stat().st_size for file in files)}
    except StorageError:
        # What has come would keep the disk full.
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(staging, ignore_errors=True)
    manifest = draft.manifest
    say(f"Pulled {manifest.facts['files']:,} file(s), {manifest.facts['bytes']:,} bytes, {manifest.facts['hash']}.")
    return manifest


@dataclass(frozen=True)
class _Request:
    source: str
    path: str
    revision: str
    pattern: str
    cache: Path | None


@dataclass(frozen=True)
class _Fetched:
    facts: dict[str, Any]
    sha256: Mapping[str, str] = field(default_factory=dict)


def _fetch(wanted: _Request, destination: Path, staging: Path) -> _Fetched:
    source = wanted.source
    if source.startswith(_SAMPLE):
        return _fetch_sample(wanted, destination)
    if git.is_url(source) or git.is_local_repository(source):
        return _fetch_versioned(source, wanted, destination, staging)
    file = Path(source, wanted.path)
    if not wanted.revision:
        files = plain_files(_inside(Path(source), file), wanted.pattern)
        return _Fetched({"hash": copy_files(files, destination)})
    repository = git.enclosing_repository(file.resolve())
    if repository is None:
        raise SourceError(
            f"{source} is not in a Git repository, so it has no revision {wanted.revision!r}. Leave the revision "
            "empty, or name a repository as the data."
        )
    inside = file.resolve().relative_to(repository).as_posix()
    return _fetch_versioned(str(repository), replace(wanted, path=inside), destination, staging)


def _fetch_versioned(repository: str, wanted: _Request, destination: Path, staging: Path) -> _Fetched:
    # Only versioned data need DVC, which takes half a second to import.
    from ropewalk.data.versioned import fetch_versioned

    address = repository if git.is_url(repository) else str(Path(repository).absolute())
    fetched = fetch_versioned(
        address,
        path=wanted.path,
        revision=wanted.revision,
        pattern=wanted.pattern,
        destination=destination,
        staging=staging,
        cache=wanted.cache,
    )
    facts = {"repository": address, "commit": fetched.commit, "path": fetched.path, "hash": fetched.hash}
    return _Fetched(facts, fetched.sha256)


def _fetch_sample(wanted: _Request, destination: Path) -> _Fetched:
    # Only a sample needs scikit-learn, which takes a second to import.
    from ropewalk.data.samples import write_sample

    if wanted.path or wanted.revision or wanted.pattern:
        raise SourceError(f"{wanted.source} is a sample: it has neither paths nor revisions. Leave both empty.")
    target = write_sample(wanted.source.removeprefix(_SAMPLE), destination)
    return _Fetched({"target": target, "hash": content_hash(destination)})


def _inside(folder: Path, file: Path) -> Path:
    if not file.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"The path leads out of {folder}: {file.resolve()}. Name that file or folder as the data.")
    return file
