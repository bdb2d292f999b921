"""Pulls a table, at one version, from where it is kept into a raw-data artifact."""

from pathlib import Path
from typing import Any

from ropewalk.artifacts import RAW_DATA, Manifest, read_artifact, write_artifact
from ropewalk.data import git
from ropewalk.data.plain import content_hash, copy_plain
from ropewalk.data.tables import FOLDER
from ropewalk.errors import SourceError
from ropewalk.progress import say

_SAMPLE = "sample:"


def pull(source: str, *, path: str = "", revision: str = "", output: Path) -> Manifest:
    """Write the raw-data artifact `output` and return its manifest, which says where every byte came from.

    Args:
        source: A Git repository (URL or folder), a plain file or folder, or `sample:` and a sample's name.
        path: File or folder in the repository, tracked by DVC or Git; or in the plain folder.
        revision: Tag, branch or commit of the repository; empty is the head of its default branch.
        output: The folder to make.

    Raises:
        SourceError: The source, revision or path cannot be had.
        DataError: A DVC remote has other bytes than those recorded.
        ServiceError: A server cannot be reached; trying again may help.
        StorageError: The disk is full.
    """
    source, path, revision = source.strip(), path.strip(), revision.strip()
    if not source:
        raise SourceError("No data are named. Name a file, a folder, a Git repository or sample:breast_cancer.")
    with write_artifact(output, RAW_DATA) as draft:
        destination = draft.folder / FOLDER
        facts = {"source": source, "repository": "", "commit": "", "path": path, "revision": revision, "hash": ""}
        draft.facts |= facts | _fetch(source, path, revision, destination)
        files = [file for file in destination.rglob("*") if file.is_file()]
        draft.facts |= {"files": len(files), "bytes": sum(file.stat().st_size for file in files)}
    manifest = read_artifact(output, RAW_DATA)
    say(f"Pulled {manifest.facts['files']:,} file(s), {manifest.facts['bytes']:,} bytes, {manifest.facts['hash']}.")
    return manifest


def _fetch(source: str, path: str, revision: str, destination: Path) -> dict[str, Any]:
    if source.startswith(_SAMPLE):
        return _fetch_sample(source, path, revision, destination)
    if git.is_url(source) or git.is_local_repository(source):
        return _fetch_versioned(source, path, revision, destination)
    file = Path(source, path)
    if not revision:
        return {"hash": copy_plain(_inside(Path(source), file), destination)}
    repository = git.enclosing_repository(file.resolve())
    if repository is None:
        raise SourceError(
            f"{source} is not in a Git repository, so it has no revision {revision!r}. Leave the revision empty, or "
            "name a repository as the data."
        )
    inside = file.resolve().relative_to(repository).as_posix()
    return _fetch_versioned(str(repository), inside, revision, destination)


def _fetch_versioned(repository: str, path: str, revision: str, destination: Path) -> dict[str, Any]:
    # Only versioned data need DVC, which takes half a second to import.
    from ropewalk.data.versioned import fetch_versioned

    address = repository if git.is_url(repository) else str(Path(repository).absolute())
    fetched = fetch_versioned(address, path=path, revision=revision, destination=destination)
    return {"repository": address, "commit": fetched.commit, "path": fetched.path, "hash": fetched.hash}


def _fetch_sample(source: str, path: str, revision: str, destination: Path) -> dict[str, Any]:
    # Only a sample needs scikit-learn, which takes a second to import.
    from ropewalk.data.samples import write_sample

    if path or revision:
        raise SourceError(f"{source} is a sample: it has neither paths nor revisions. Leave both empty.")
    target = write_sample(source.removeprefix(_SAMPLE), destination)
    return {"target": target, "hash": content_hash(destination)}


def _inside(folder: Path, file: Path) -> Path:
    if not file.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"The path leads out of {folder}: {file.resolve()}. Name that file or folder as the data.")
    return file
