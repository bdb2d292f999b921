"""Where objects come from: a folder on this machine, or a DVC remote behind a network."""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dvc.fs import get_cloud_fs
from fsspec.callbacks import Callback

from ropewalk.data.cache import object_parts, object_path
from ropewalk.data.copying import Advance, Digests, copy_hashed, hash_file
from ropewalk.data.credentials import is_refusal, no_access, use_ssh_key
from ropewalk.errors import RopewalkError, ServiceError, SourceError

_LOCAL = ("local", "file")
_LOCAL_THREADS = 4
_NETWORK_THREADS = 16
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Source(Protocol):
    """A store of objects."""

    @property
    def threads(self) -> int:
        """How many objects are worth fetching at once."""

    def fetch(self, oid: str, kind: str, target: Path, advance: Advance) -> Digests:
        """Write the object to `target` and return the hashes of what was written."""


@dataclass(frozen=True)
class FolderSource:
    """Objects in a folder in DVC's layout."""

    folder: Path
    missing: str
    """The message for an object that is not there."""
    threads: int = _LOCAL_THREADS

    def fetch(self, oid: str, kind: str, target: Path, advance: Advance) -> Digests:
        """Write the object to `target` and return the hashes of what was written."""
        try:
            return copy_hashed(object_path(self.folder, oid, kind), target, advance)
        except FileNotFoundError as error:
            raise SourceError(self.missing) from error


@dataclass(frozen=True)
class NetworkSource:
    """Objects in a DVC remote, read through DVC's own file system for it."""

    name: str
    filesystem: Any
    path: str
    missing: str
    threads: int = _NETWORK_THREADS

    def fetch(self, oid: str, kind: str, target: Path, advance: Advance) -> Digests:
        """Write the object to `target` and return the hashes of what was written."""
        place = self.filesystem.join(self.path, *object_parts(oid, kind))
        try:
            self.filesystem.get_file(place, str(target), callback=_Advancing(advance))
        except FileNotFoundError as error:
            raise SourceError(self.missing) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_SPACE:
                raise
            raise self._explain(error) from error
        return hash_file(target)

    def _explain(self, error: Exception) -> RopewalkError:
        said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
        if is_refusal(said):
            return no_access(self.name, self.filesystem.protocol, said)
        return ServiceError(
            f"The DVC remote {self.name!r} broke off or cannot be reached: {said}. Check the network, then run again: "
            "files that are already here are not fetched again."
        )


class _Advancing(Callback):  # type: ignore[misc]
    """Passes the bytes that fsspec reports on."""

    def __init__(self, advance: Advance) -> None:
        super().__init__()
        self._advance = advance
        self.value: int = 0

    def relative_update(self, inc: int = 1) -> None:
        self._advance(inc)

    def absolute_update(self, value: int) -> None:
        self._advance(value - self.value)
        self.value = value


def open_source(config: Any, name: str, missing: str) -> Source:
    """Return the DVC remote `name` of a repository's settings.

    Raises:
        SourceError: It is of a kind that cannot be read.
    """
    use_ssh_key(config["remote"][name])
    kind, settings, path = get_cloud_fs(config, name=name)
    if settings.get("version_aware") or settings.get("worktree"):
        raise SourceError(
            f"The DVC remote {name!r} keeps versions in the cloud (version_aware), which cannot be read. Push the data "
            "to a remote without that setting."
        )
    if kind.protocol in _LOCAL:
        return FolderSource(Path(path), missing)
    return NetworkSource(name=name, filesystem=kind(**settings), path=path, missing=missing)
