"""Folders that outlive a step, on a disk or in an object store: a file is there as a whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from ropewalk.artifacts import disk_errors
from ropewalk.errors import ServiceError

_PARTIAL = ".partial"


class Store(Protocol):
    """A flat folder of files."""

    place: str
    """What a person calls it."""

    def names(self) -> list[str]:
        """Return the names of all whole files, sorted; none when the folder is not there."""

    def read(self, name: str) -> bytes:
        """Return a file's bytes; FileNotFoundError when it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is on the disk, whole, when this returns."""

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""

    def remove(self) -> None:
        """Remove the folder and all that is in it, if it is there."""


def open_store(place: str) -> Store:
    """Return the folder at `place`: a path, or an URI that fsspec knows, such as s3://bucket/folder."""
    if "://" in place and not place.startswith("file://"):
        return _Bucket(place)
    return _Folder(Path(place.removeprefix("file://")))


class _Folder:
    """A folder on a disk or a mounted volume."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path

    def names(self) -> list[str]:
        if not self._path.is_dir():
            return []
        return sorted(file.name for file in self._path.iterdir() if file.suffix != _PARTIAL)

    def read(self, name: str) -> bytes:
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        partial = self._path / f"{name}{_PARTIAL}"
        with disk_errors(self._path / name):
            self._path.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(self._path / name)
            self._sync()

    def delete(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        if self._path.is_dir():
            for file in self._path.iterdir():
                file.unlink()
            self._path.rmdir()

    def _sync(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Bucket:
    """A prefix in an object store, whose puts are whole or not at all."""

    def __init__(self, uri: str) -> None:
        from fsspec.core import url_to_fs

        self.place = uri
        with self._service_errors():
            self._files, path = url_to_fs(uri)
        self._path = path.rstrip("/")

    def names(self) -> list[str]:
        with self._service_errors():
            self._files.invalidate_cache()
            try:
                found: list[Any] = self._files.ls(self._path, detail=False)
            except FileNotFoundError:
                return []
        return sorted(name.rsplit("/", 1)[-1] for name in found)

    def read(self, name: str) -> bytes:
        with self._service_errors():
            if self._files.exists(f"{self._path}/{name}"):
                return bytes(self._files.cat_file(f"{self._path}/{name}"))
        raise FileNotFoundError(f"{self.place}/{name}")

    def write(self, name: str, content: bytes) -> None:
        with self._service_errors():
            self._files.pipe_file(f"{self._path}/{name}", content)

    def delete(self, name: str) -> None:
        with self._service_errors(), suppress(FileNotFoundError):
            self._files.rm_file(f"{self._path}/{name}")

    def remove(self) -> None:
        for name in self.names():
            self.delete(name)

    @contextmanager
    def _service_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ImportError, ValueError) as error:
            raise ServiceError(
                f"The checkpoint folder {self.place} cannot be used: {error}. Check training.checkpoint, the service's "
                "address (AWS_ENDPOINT_URL for S3) and its credentials, and run again: what was kept is still there."
            ) from error
