"""Pulls a table, at one version, from where it is kept into a raw-data artifact."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ropewalk.artifacts import RAW_DATA, Manifest, write_artifact
from ropewalk.data.places import Plain, Sample, Versioned, find_place
from ropewalk.data.plain import content_hash, copy_files, plain_files
from ropewalk.data.samples import write_sample
from ropewalk.data.tables import FOLDER
from ropewalk.errors import SourceError, StorageError
from ropewalk.progress import say


def pull(
    source: str,
    *,
    path: str = "",
    revision: str = "",
    pattern: str = "",
    cache: Path | None = None,
    expected_hash: str = "",
    output: Path,
) -> Manifest:
    """Write the raw-data artifact `output` and return its manifest, which says where every byte came from.

    Args:
        source: A Git repository (URL or folder), a plain file or folder, or `sample:` and a sample's name.
        path: File or folder in the repository, tracked by DVC or Git; or in the plain folder.
        revision: Tag, branch or commit of the repository; empty is the head of its default branch.
        pattern: Which files of a folder, such as `2024-*.parquet` (`*` crosses folders); empty is all of them.
        cache: Folder that keeps what DVC tracks for other runs, also at the same time; none without it.
        expected_hash: The hash that `resolve` found; other data are refused. Empty takes what is there.
        output: The folder to make.

    Raises:
        SourceError: The source, revision or path cannot be had, or has changed since it was resolved.
        DataError: A DVC remote has other bytes than those recorded.
        ServiceError: A server cannot be reached; trying again may help, and goes on where this try ended.
        StorageError: The disk is full.
    """
    source, path, revision, pattern = (text.strip() for text in (source, path, revision, pattern))
    place = find_place(source, path=path, revision=revision)
    staging = output.with_name(f"{output.name}.fetched")
    facts = {"source": source, "repository": "", "commit": "", "path": path, "revision": revision, "hash": ""}
    try:
        with write_artifact(output, RAW_DATA) as draft:
            destination = draft.folder / FOLDER
            fetched = _fetch(place, destination, pattern=pattern, cache=cache, staging=staging)
            draft.facts |= facts | ({"pattern": pattern} if pattern else {}) | fetched.facts
            _check_expected(draft.facts["hash"], expected_hash.strip(), source)
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


def pull_with_reference(
    source: str,
    *,
    path: str = "",
    revision: str = "",
    pattern: str = "",
    cache: str = "",
    expected_hash: str = "",
    reference_revision: str = "",
    output: Path,
    reference: Path,
) -> Manifest:
    """Do as `pull` does, and write the same path at `reference_revision` as the raw-data artifact `reference`.

    Without such a revision `reference` has no files.
    """
    shared = Path(cache.strip()) if cache.strip() else None
    if reference_revision.strip():
        pull(source, path=path, revision=reference_revision, pattern=pattern, cache=shared, output=reference)
    else:
        with write_artifact(reference, RAW_DATA) as draft:
            draft.facts |= {"files": 0, "bytes": 0}
    return pull(
        source,
        path=path,
        revision=revision,
        pattern=pattern,
        cache=shared,
        expected_hash=expected_hash,
        output=output,
    )


@dataclass(frozen=True)
class _Fetched:
    facts: dict[str, Any]
    sha256: Mapping[str, str] = field(default_factory=dict)


def _fetch(
    place: Sample | Versioned | Plain, destination: Path, *, pattern: str, cache: Path | None, staging: Path
) -> _Fetched:
    match place:
        case Sample():
            return _fetch_sample(place, destination, pattern)
        case Plain():
            return _Fetched({"hash": copy_files(plain_files(place.file, pattern), destination)})
        case Versioned():
            # Only versioned data need DVC, which takes half a second to import.
            from ropewalk.data.versioned import fetch_versioned

            fetched = fetch_versioned(
                place.repository,
                path=place.path,
                revision=place.revision,
                pattern=pattern,
                destination=destination,
                staging=staging,
                cache=cache,
            )
            facts = {"repository": place.repository, "commit": fetched.commit, "path": fetched.path}
            return _Fetched(facts | {"hash": fetched.hash}, fetched.sha256)


def _fetch_sample(place: Sample, destination: Path, pattern: str) -> _Fetched:
    if pattern:
        raise SourceError(f"sample:{place.name} is one table: the pattern {pattern!r} cannot choose. Leave it empty.")
    target = write_sample(place.name, destination)
    return _Fetched({"target": target, "hash": content_hash(destination)})


def _check_expected(found: str, expected: str, source: str) -> None:
    if found and expected and found != expected:
        raise SourceError(
            f"{source} has changed since the run began: its hash is {found}, and was {expected}. Run the pipeline "
            "again, and keep the data as they are while it pulls them."
        )
