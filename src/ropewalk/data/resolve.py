"""Finds out, without fetching data, which version a source has now, so that KFP can tell whether a run is known."""

from dataclasses import dataclass

from ropewalk.data.config import DataConfig
from ropewalk.data.places import Plain, Sample, Versioned, find_place
from ropewalk.data.plain import hash_files, plain_files
from ropewalk.progress import say


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What pulling needs, pinned: the same values, the same bytes."""

    revision: str
    """The commit in full; "" where the source is not in Git."""
    hash: str
    """ "md5:<hex>" as DVC recorded it, "sha256:<hex>" of plain files; "" where the commit alone names the bytes."""
    pattern: str
    cache: str
    reference_revision: str
    """The commit of the version to compare with, in full; "" for none."""


def resolve(source: str, *, path: str = "", revision: str = "", config: DataConfig = DataConfig()) -> Resolved:
    """Return which version `source` has now; data that cannot be had are refused before any work starts.

    Of a Git repository only the list of a commit's files and DVC's records are fetched. Plain files are read once.

    Args:
        source: A Git repository (URL or folder), a plain file or folder, or `sample:` and a sample's name.
        path: File or folder in the repository, tracked by DVC or Git; or in the plain folder.
        revision: Tag, branch or commit of the repository; empty is the head of its default branch.
        config: Which files to pull, and what to compare them with.

    Raises:
        SourceError: The source, revision or path cannot be had.
        ServiceError: A server cannot be reached; trying again may help.
    """
    source, path, revision = source.strip(), path.strip(), revision.strip()
    pattern, reference = config.pattern.strip(), config.reference_revision.strip()
    place = find_place(source, path=path, revision=revision)
    commit, content_hash = _version(place, pattern)
    before = find_place(source, path=path, revision=reference) if reference else None
    reference_commit = "" if before is None else _version(before, pattern)[0]
    say(f"{source}: {', '.join(filter(None, (commit and f'commit {commit}', content_hash))) or 'bundled'}.")
    return Resolved(
        revision=commit,
        hash=content_hash,
        pattern=pattern,
        cache=config.cache.strip(),
        reference_revision=reference_commit,
    )


def _version(place: Sample | Versioned | Plain, pattern: str) -> tuple[str, str]:
    """Return commit and hash of what is there now."""
    match place:
        case Sample():
            return "", ""
        case Plain():
            return "", hash_files(plain_files(place.file, pattern))
        case Versioned():
            # Only versioned data need DVC, which takes half a second to import.
            from ropewalk.data.versioned import resolve_versioned

            return resolve_versioned(place.repository, path=place.path, revision=place.revision)
