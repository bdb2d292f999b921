"""Pushes a file or folder back into a Git and DVC repository as a new version, unless it is there already."""

import json
import random
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ropewalk.artifacts import MANIFEST, disk_errors, read_artifact
from ropewalk.data import git, publish_git
from ropewalk.data.dvc_records import Record, read_record
from ropewalk.data.plain import plain_files
from ropewalk.data.publish_dvc import Place, find_place, track
from ropewalk.data.publish_git import Branch, Version
from ropewalk.errors import ArtifactError, ConfigError, ServiceError, SourceError
from ropewalk.progress import say

ATTEMPTS = 6
"""How often a push is made on top of what others have pushed meanwhile."""

_FOLDER = "ropewalk"
_VERSION = re.compile(r"^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")
_FIRST: Version = (1, 0, 0)
_RESERVED = {".git", ".dvc"}
_WAIT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """Where a version now stands."""

    commit: str
    """The Git commit that has it, 40 hex digits."""
    hash: str
    """DVC's hash of the bytes: "md5:<hex>", of a folder "md5:<hex>.dir"."""
    tag: str
    """Its tag: name@vMAJOR.MINOR.PATCH."""
    path: str
    """The path in the repository."""
    changed: bool
    """Whether this call made the version; False when the repository had these bytes already."""
    files: int
    bytes: int


def push(
    source: Path,
    *,
    repository: str,
    path: str = "",
    name: str = "",
    version: str = "",
    message: str = "",
    branch: str = "",
) -> Pushed:
    """Version `source` in a Git and DVC repository and return where it stands; the same bytes again change nothing.

    The bytes go to the repository's default DVC remote first, then commit and tag go to Git as one. Whoever pushes
    to the same branch meanwhile loses nothing, and a push that was killed is made good by the next one.

    Args:
        source: A file, or a folder such as a split, a model or a preprocessor.
        repository: URL of the repository, or the folder of a bare one.
        path: Where in the repository; empty for an artifact of Ropewalk: ropewalk/NAME/train, .../model and so on.
        name: What the tags call it, in lower-case letters, digits, "-" and "/"; empty: its path without ending.
        version: Such as 1.2.0; empty: the next minor version, from 1.0.0 on.
        message: First line of the commit and of the tag; empty: tells the path.
        branch: Where to commit; empty is the default branch. A new one starts from there.

    Raises:
        ConfigError: The path, name or version cannot be used, or that version has other bytes.
        SourceError: The source or the repository cannot be had, or does not take the push.
        ArtifactError: The artifact is unfinished or damaged.
        DataError: The repository has DVC leave some of the files out.
        ServiceError: The server or the DVC remote cannot be reached; trying again may help.
        StorageError: A disk is full.
    """
    repository, branch = repository.strip(), branch.strip()
    git.refuse_credentials(repository)
    if not repository:
        raise ConfigError("No repository is named. Give the URL of a Git and DVC repository, or a bare one's folder.")
    place, name = _name(_part_of(source), path=path.strip(), name=name.strip())
    wanted = _parse_version(version.strip())
    address = repository if git.is_url(repository) else str(Path(repository).absolute())
    with tempfile.TemporaryDirectory(prefix="ropewalk-push-") as folder, disk_errors(Path(folder) / "content"):
        scratch = Path(folder).resolve()
        content = _copy(source, scratch / "content")
        found = [file for file in [content, *content.rglob("*")] if file.is_file()]
        work = _Work(
            repository=address,
            branch=branch,
            path=place,
            name=name,
            version=wanted,
            message=message.strip() or f"Version {place}",
            content=content,
            files=len(found),
            bytes=sum(file.stat().st_size for file in found),
            scratch=scratch,
        )
        say(f"Pushing {work.files:,} file(s), {work.bytes:,} bytes, to {place} in {repository}.")
        pushed = _push(work)
    say(f"{'Pushed' if pushed.changed else 'Already there:'} {pushed.tag}, {pushed.hash}, commit {pushed.commit}.")
    return pushed


def push_all(sources: Sequence[Path], *, repository: str, name: str) -> list[Pushed]:
    """Version several artifacts of Ropewalk, each at its own path, as `push` does, and return where they stand.

    A push that fails leaves the earlier ones in place; run again, they change nothing.
    """
    return [push(source, repository=repository, name=name) for source in sources]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One push, all of it decided except what depends on the repository."""

    repository: str
    branch: str
    path: PurePosixPath
    name: str
    version: Version | None
    message: str
    content: Path
    """A copy of the data, to be moved."""
    files: int
    bytes: int
    scratch: Path


def _push(work: _Work) -> Pushed:
    for attempt in range(ATTEMPTS):
        if attempt:
            say("Somebody else has pushed meanwhile; once more, on top of that.")
            time.sleep(random.uniform(0, _WAIT_SECONDS))
        checkout = work.scratch / f"checkout-{attempt}"
        branch = publish_git.open_branch(work.repository, work.branch, tags_of=work.name, folder=checkout)
        _check_free(work, branch)
        origin = None if git.is_url(work.repository) else Path(work.repository)
        place = find_place(checkout, work.path, origin=origin, repository=work.repository)
        pushed = _publish(work, branch, place)
        if pushed:
            return pushed
        place.file.rename(work.content)
    raise ServiceError(
        f"Others have pushed to {work.repository} during each of {ATTEMPTS} attempts. The data are in the DVC remote, "
        "but no commit names them yet. Push again."
    )


def _publish(work: _Work, branch: Branch, place: Place) -> Pushed | None:
    """Track, commit, tag and push; return None, with the data still at `place`, when somebody else was faster."""
    place.file.parent.mkdir(parents=True, exist_ok=True)
    work.content.rename(place.file)
    record = track(place, cache=work.scratch / "cache", files=work.files, size=work.bytes)
    known = publish_git.versions(branch, work.name)
    same = [number for number, tag in known.items() if _record_at(branch, tag, place) == record.hash]
    if work.version in known and work.version not in same:
        raise ConfigError(
            f"{known[work.version]} exists and has other bytes, and a version never changes. Give another version, or "
            "none to have the next one."
        )
    if work.version in same:
        return _pushed(work, branch, known[work.version], record, changed=False)
    files = [file.relative_to(branch.folder).as_posix() for file in (place.record, place.ignored) if file.exists()]
    committed = publish_git.commit(branch, files, _message(work, record))
    if not committed and not work.version and same:
        return _pushed(work, branch, known[same[0]], record, changed=False)
    number = work.version or _next(known)
    tag = f"{work.name}@v{'.'.join(map(str, number))}"
    if not publish_git.push_with_tag(branch, tag, _message(work, record)):
        return None
    return _pushed(work, branch, tag, record, changed=True)


def _record_at(branch: Branch, tag: str, place: Place) -> str:
    """Return the hash of the bytes that `tag` has at `place`, "" when it has none."""
    text = publish_git.file_at(branch, tag, place.record.relative_to(branch.folder).as_posix())
    record = read_record(text, place.file.name)
    return record.hash if record else ""


def _pushed(work: _Work, branch: Branch, tag: str, record: Record, *, changed: bool) -> Pushed:
    return Pushed(
        commit=publish_git.commit_of(branch, tag),
        hash=record.hash,
        tag=tag,
        path=work.path.as_posix(),
        changed=changed,
        files=work.files,
        bytes=work.bytes,
    )


def _next(known: dict[Version, str]) -> Version:
    if not known:
        return _FIRST
    major, minor, _ = max(known)
    return (major, minor + 1, 0)


def _message(work: _Work, record: Record) -> str:
    return f"{work.message}\n\npath: {work.path}\nhash: {record.hash}\nfiles: {work.files}\nbytes: {work.bytes}\n"


def _copy(source: Path, destination: Path) -> Path:
    """Copy the source to `destination`, a file as a file, and return that."""
    for name, file in plain_files(source, "").items():
        copy = destination / name if source.is_dir() else destination
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return destination


def _part_of(source: Path) -> str:
    """Return what part of a model's life an artifact is (train, model, ...), all bytes checked; "" when it is none."""
    file = source / MANIFEST
    if not file.is_file():
        return ""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{file} cannot be read ({error}). Make the artifact again.") from error
    if not isinstance(content, dict) or "format_version" not in content:
        return ""
    manifest = read_artifact(source, str(content.get("kind")))
    return str(manifest.facts.get("split") or manifest.kind)


def _name(part: str, *, path: str, name: str) -> tuple[PurePosixPath, str]:
    """Return the path in the repository and the name for the tags."""
    if not path:
        if not part or not name:
            raise ConfigError(
                "No path is named. Give one such as data/customers; only an artifact of Ropewalk (a folder with "
                f"{MANIFEST}) finds its own, under its name: give that then."
            )
        family = _slug(name)
        return PurePosixPath(_FOLDER, family, part), f"{family}/{part}"
    place = PurePosixPath(path)
    wrong = place.is_absolute() or ".." in place.parts or not place.parts or _RESERVED.intersection(place.parts)
    if wrong or not path.isprintable() or place.suffix == ".dvc":
        raise ConfigError(
            f"path={path!r} cannot be tracked: need a path inside the repository, such as data/customers.csv, without "
            "'..', not a .dvc file and nothing in .git or .dvc."
        )
    return place, _slug(name or place.as_posix().removesuffix("".join(place.suffixes)))


def _slug(name: str) -> str:
    """Return `name` in the characters that a GTO tag may have."""
    parts = [re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in name.split("/")]
    slug = "/".join(filter(None, parts))
    if not slug:
        raise ConfigError(f"name={name!r} has no letter a-z and no digit. Give one such as 'customers'.")
    return slug


def _parse_version(version: str) -> Version | None:
    match = _VERSION.match(version)
    if match:
        return (int(match[1]), int(match[2]), int(match[3]))
    if version:
        raise ConfigError(f"version={version!r}: need three numbers such as 1.2.0, or nothing to have the next one.")
    return None


def _check_free(work: _Work, branch: Branch) -> None:
    """Refuse a path at which Git itself has files."""
    for tracked in map(PurePosixPath, publish_git.tracked_files(branch)):
        if tracked == work.path or tracked in work.path.parents:
            raise SourceError(f"{tracked} in {work.repository} is a file that Git tracks. Choose another path.")
        if work.path in tracked.parents:
            raise SourceError(
                f"{work.path} in {work.repository} is a folder with files that Git tracks, such as {tracked}. Choose "
                "another path, for instance one below it."
            )
