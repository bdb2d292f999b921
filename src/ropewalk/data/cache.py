"""A folder of objects named by their MD5, shared by several processes; what it holds is checked at each use."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ropewalk.errors import StorageError

_ABANDONED_AFTER_SECONDS = 24 * 3600


class Cache:
    """Objects under `files/md5/ab/cdef...` (what DVC before version 3 hashed: `ab/cdef...`), as DVC's own cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"
        try:
            self._unfinished.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The cache folder {folder} cannot be made ({error.strerror}). Mount a volume there that this step may "
                "write to, or leave the cache empty."
            ) from error
        self._remove_abandoned()

    def path(self, oid: str, kind: str) -> Path:
        """Return where an object is, or would be."""
        return object_path(self._folder, oid, kind)

    def add(self, file: Path, oid: str, kind: str) -> None:
        """Put a copy of `file` in place at once, so that nobody sees half of it."""
        place = self.path(oid, kind)
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._unfinished)
        os.close(descriptor)
        try:
            shutil.copyfile(file, name)
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _remove_abandoned(self) -> None:
        """Remove what a killed process left; a day is longer than any file takes."""
        for file in self._unfinished.iterdir():
            with suppress(FileNotFoundError):  # another process may do the same
                if time.time() - file.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                    file.unlink()


def object_path(folder: Path, oid: str, kind: str) -> Path:
    """Return where a folder in DVC's layout keeps the object `oid`."""
    return folder.joinpath(*object_parts(oid, kind))


def object_parts(oid: str, kind: str) -> tuple[str, ...]:
    """Return the path of the object `oid` in DVC's layout; DVC before version 3 had no prefix."""
    prefix = ("files", "md5") if kind == "md5" else ()
    return (*prefix, oid[:2], oid[2:])
