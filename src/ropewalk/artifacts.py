"""Artifacts: folders that are either whole, with a manifest, or not there at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ropewalk import __version__
from ropewalk.errors import ArtifactError, StorageError

MANIFEST = "manifest.json"
FORMAT_VERSION = 1

RAW_DATA = "raw-data"
SPLIT = "split"
PREPROCESSOR = "preprocessor"
MODEL = "model"
EVALUATION = "evaluation"
TRIALS = "trials"
CHAMPION = "champion"

_SYNCS_AT_ONCE = 16
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an artifact is, what is in it, and what it was made from."""

    kind: str
    """One of the kinds named at the top of this module."""
    digest: str
    """SHA-256 (hex) over kind and the sorted (path, SHA-256) pairs of all files: same bytes, same digest."""
    files: dict[str, dict[str, Any]]
    """Per relative POSIX path: {"bytes": size, "sha256": hex}."""
    facts: dict[str, Any]
    """What a person wants to know of the content: rows, columns, repository, commit, ..."""
    made_from: list[dict[str, Any]]
    """Lineage: {kind, digest, facts, made_from} of each input, down to the raw data."""
    created_by: str = f"ropewalk {__version__}"
    format_version: int = FORMAT_VERSION

    def as_source(self) -> dict[str, Any]:
        """Return this artifact as an entry of another one's `made_from`."""
        return {"kind": self.kind, "digest": self.digest, "facts": self.facts, "made_from": self.made_from}

    def metadata(self) -> dict[str, Any]:
        """Return the facts that KFP's UI can show: numbers and strings, with the digest."""
        plain = {name: value for name, value in self.facts.items() if isinstance(value, int | float | str)}
        return {"digest": self.digest, **plain}


@dataclass
class Draft:
    """An artifact being written: files go into `folder`, facts into `facts`."""

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of files that were hashed while they were written, by path; the others are read once more."""
    manifest: Manifest = field(init=False)
    """What the artifact is, once it is there."""


@contextmanager
def write_artifact(path: Path, kind: str, made_from: Sequence[Manifest] = ()) -> Iterator[Draft]:
    """Yield a draft that becomes the artifact at `path` when the block ends well.

    Files are written beside `path`, hashed, given a manifest and renamed into place, so a reader never sees
    half an artifact. A block that raises, or is killed, leaves nothing at `path`; the next attempt starts clean.

    Raises:
        StorageError: The disk is full, over quota or read-only.
    """
    draft = Draft(path.with_name(f"{path.name}.partial"))
    try:
        with disk_errors(path):
            _remove(draft.folder)
            draft.folder.mkdir(parents=True)
            yield draft
            draft.manifest = _seal(draft, kind, made_from)
            _remove(path)
            draft.folder.rename(path)
            _sync(path.parent)
    except BaseException:
        shutil.rmtree(draft.folder, ignore_errors=True)
        raise


def read_artifact(path: Path, kind: str) -> Manifest:
    """Return the manifest of the artifact at `path` after checking every byte of it.

    Raises:
        ArtifactError: It is missing, unfinished, of another kind or format, or its bytes have changed.
    """
    manifest = _load(path)
    if manifest.kind != kind:
        raise ArtifactError(
            f"{path} holds an artifact of kind {manifest.kind!r}, but {kind!r} is needed here: connect another output."
        )
    for name, entry in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise ArtifactError(f"{path}: the file {name!r} named in its manifest is missing. Make the artifact again.")
        found = file_sha256(file)
        if found != entry["sha256"]:
            raise ArtifactError(
                f"{path}: {name!r} has changed since it was written (SHA-256 is {found}, the manifest says "
                f"{entry['sha256']}). Make the artifact again."
            )
    return manifest


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn "no space left" and its kin, raised while writing `path`, into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise StorageError(
            f"Cannot write {path}: {error.strerror or error}. {_free_space(path)} "
            "Free some space, or point the run elsewhere (ROPEWALK_HOME), and run again."
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Write `content` as readable JSON, the same bytes for the same content."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _load(path: Path) -> Manifest:
    file = path / MANIFEST
    if not file.is_file():
        raise ArtifactError(
            f"{path} is not a finished Ropewalk artifact: it has no {MANIFEST}. "
            "The step that makes it failed or was stopped; run it again."
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        manifest = Manifest(**content)
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"{file} cannot be read ({error}). Make the artifact again.") from error
    if manifest.format_version != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has artifact format {manifest.format_version}; this Ropewalk ({__version__}) reads "
            f"{FORMAT_VERSION}. Make it again, or use the release that wrote it ({manifest.created_by})."
        )
    return manifest


def _seal(draft: Draft, kind: str, made_from: Sequence[Manifest]) -> Manifest:
    files = {}
    for file in sorted(draft.folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(draft.folder).as_posix()
            files[name] = {"bytes": file.stat().st_size, "sha256": draft.sha256.get(name) or file_sha256(file)}
    _sync_all([draft.folder / name for name in files])
    listing = "".join(f"{entry['sha256']}  {name}\n" for name, entry in files.items())
    digest = hashlib.sha256(f"{kind}\n{listing}".encode()).hexdigest()
    manifest = Manifest(
        kind=kind, digest=digest, files=files, facts=draft.facts, made_from=[source.as_source() for source in made_from]
    )
    write_json(draft.folder / MANIFEST, vars(manifest))
    _sync(draft.folder / MANIFEST)
    return manifest


def _sync_all(files: Sequence[Path]) -> None:
    """Have the disk keep all files; it is faster at many together than at one after the other."""
    with ThreadPoolExecutor(min(_SYNCS_AT_ONCE, len(files) or 1)) as pool:
        for _ in pool.map(_sync, files):
            pass


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _free_space(path: Path) -> str:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    return f"{shutil.disk_usage(folder).free / 1e6:,.0f} MB are free on the disk that holds {folder}."
