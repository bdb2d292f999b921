"""Lists the versions of a path of a Git repository, whether DVC or Git tracks it, without fetching the data."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ropewalk.data import git
from ropewalk.data.dvc_records import Record, read_record
from ropewalk.data.git import call_git, try_git
from ropewalk.errors import SourceError, nearest

_EVERYWHERE = ["--branches", "--tags", "--remotes"]


@dataclass(frozen=True, kw_only=True)
class Version:
    """One state of a path."""

    commit: str
    """The commit that made it so, 40 hex digits."""
    date: str
    """When, in ISO 8601 with the committer's time zone."""
    author: str
    message: str
    """The commit message's first line."""
    tags: list[str]
    """The tags that have this state."""
    hash: str
    """ "md5:<hex>" as DVC recorded it, "git:<hex>" of what Git itself tracks, "" where the path was removed."""
    bytes: int
    files: int


def list_versions(repository: str, path: str) -> list[Version]:
    """Return the versions of `path` on all branches and tags, newest first.

    Args:
        repository: A URL, or a folder on this machine, which is only read.
        path: A file or folder in it that DVC or Git tracks.

    Raises:
        SourceError: The repository or the path cannot be had.
        ServiceError: The server cannot be reached.
        StorageError: The disk is full.
    """
    repository = repository.strip()
    git.refuse_credentials(repository)
    place = PurePosixPath(path.strip())
    if place.is_absolute() or ".." in place.parts or not place.parts:
        raise SourceError(f"The path {path!r} is not in the repository. Give it relative to the root folder.")
    with _history(repository) as history:
        listed = history.log(place)
        shown = [_version(history, place, *line.split("\0")) for line in listed]
        versions = [version for version in shown if version]
        if not any(version.hash for version in versions):
            raise SourceError(_untracked(history, place))
        return versions


@dataclass(frozen=True)
class _History:
    repository: str
    folder: Path

    def read(self, *arguments: str) -> str:
        return call_git(*arguments, folder=self.folder, repository=self.repository)

    @property
    def head(self) -> list[str]:
        """Return ["HEAD"], or nothing where that names no commit: in an empty repository, or a bare one."""
        found = try_git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], self.folder)
        return ["HEAD"] if found.returncode == 0 else []

    def log(self, place: PurePosixPath) -> list[str]:
        """Return commit, parent, date, author and message of the commits that may have changed `place`."""
        form = "--format=%H%x00%P%x00%cI%x00%an%x00%s"
        start = [*self.head, *_EVERYWHERE]
        return self.read("log", "--date-order", form, *start, "--", *_specifications(place)).splitlines()

    def file(self, commit: str, name: str) -> str:
        """Return the text of a file at a commit, "" when it has none."""
        found = try_git(["rev-parse", "--verify", "--quiet", f"{commit}:{name}"], self.folder)
        # The lists of files are here, so only a file that is there is fetched, and then a failure is one.
        return self.read("cat-file", "blob", found.stdout.strip()) if found.returncode == 0 else ""

    def tags_of(self, commit: str, place: PurePosixPath) -> list[str]:
        """Return the tags that see `place` as `commit` left it."""
        later = self.read("tag", "--list", "--contains", commit, "--sort=version:refname").splitlines()
        last = ["log", "--max-count=1", "--format=%H"]
        return [tag for tag in later if self.read(*last, tag, "--", *_specifications(place)).strip() == commit]


@contextmanager
def _history(repository: str) -> Iterator[_History]:
    if not git.is_url(repository):
        if not git.is_local_repository(repository):
            raise SourceError(f"{repository} is not a Git repository. Give a URL, or the root folder of a repository.")
        yield _History(repository, Path(repository).absolute())
        return
    with tempfile.TemporaryDirectory(prefix="ropewalk-history-") as scratch:
        clone = Path(scratch).resolve() / "repository"
        arguments = ["clone", "--quiet", "--bare", "--filter=blob:none", "--template=", "--", repository, str(clone)]
        call_git(*arguments, repository=repository)
        yield _History(repository, clone)


def _version(
    history: _History, place: PurePosixPath, commit: str, parents: str, date: str, author: str, message: str
) -> Version | None:
    """Return what a commit made of `place`, or None when it left that as it was."""
    record = _record(history, commit, place)
    before = [_record(history, parent, place) for parent in parents.split()] or [None]
    if record in before:
        return None
    found = record or Record(hash="", bytes=0, files=0)
    tags = history.tags_of(commit, place)
    return Version(
        commit=commit, date=date, author=author, message=message, tags=tags, hash=found.hash, bytes=found.bytes,
        files=found.files,
    )  # fmt: skip


def _record(history: _History, commit: str, place: PurePosixPath) -> Record | None:
    for file in _record_files(place):
        record = read_record(history.file(commit, file.as_posix()), place.relative_to(file.parent).as_posix())
        if record:
            return record
    return _record_of_git(history, commit, place)


def _record_of_git(history: _History, commit: str, place: PurePosixPath) -> Record | None:
    """Return the record of a file or folder in Git itself; of data beside it that DVC tracks, as DVC recorded them."""
    named = try_git(["rev-parse", "--verify", "--quiet", f"{commit}:{place}"], history.folder)
    if named.returncode != 0:
        return None
    listed = history.read("ls-tree", "-r", "-z", "--long", "--full-tree", commit, "--", place.as_posix())
    sizes = []
    for entry in filter(None, listed.split("\0")):
        about, name = entry.split("\t", 1)
        file = PurePosixPath(name)
        if file.suffix == ".dvc":
            record = read_record(history.file(commit, name), file.stem)
            sizes += [record.bytes] + [0] * (record.files - 1) if record else []
        elif file.name != ".gitignore":
            sizes.append(int(about.split()[3]))
    return Record(hash=f"git:{named.stdout.strip()}", bytes=sum(sizes), files=len(sizes))


def _specifications(place: PurePosixPath) -> list[str]:
    return [f":(top,literal){file}" for file in [place, *_record_files(place)]]


def _record_files(place: PurePosixPath) -> list[PurePosixPath]:
    """Return where DVC may have recorded `place`: beside it, or in the lock file of a pipeline above it."""
    return [place.with_name(f"{place.name}.dvc"), *(folder / "dvc.lock" for folder in place.parents)]


def _untracked(history: _History, place: PurePosixPath) -> str:
    if not history.head:
        return f"{history.repository} has no commit on its default branch that tracks {place}. Push one first."
    names = history.read("ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD").split("\0")
    tracked = [name.removesuffix(".dvc") for name in names if name and ".dvc/" not in name]
    whole = next((folder for folder in place.parents if f"{folder}.dvc" in names), None)
    if whole:
        return f"{place} lies in {whole}, which DVC tracks as one piece: ask for the versions of {whole}."
    some = ", ".join(name.removesuffix(".dvc") for name in names if name.endswith(".dvc")) or "nothing"
    close = nearest(place.as_posix(), tracked)
    return f"{place} is not tracked in {history.repository}.{close} DVC tracks {some[:500]} there."
