"""Copies a file and hashes what is copied on the way."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from dvc_data.hashfile.hash import file_md5

_PIECE = 2**18

Advance = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Digests:
    """The hashes (hex) of one file's bytes."""

    md5: str
    sha256: str


def copy_hashed(source: Path, target: Path, advance: Advance) -> Digests:
    """Copy `source` to `target` and return the hashes of what was written; `advance` is told the bytes as they go."""
    buffer = bytearray(_PIECE)
    with source.open("rb", buffering=0) as stream, target.open("wb", buffering=0) as copy:
        first = stream.readinto(buffer)
        _write(copy, memoryview(buffer)[:first])
        advance(first)
        if first < _PIECE:
            content = memoryview(buffer)[:first]
            return Digests(_md5(content).hexdigest(), hashlib.sha256(content).hexdigest())
        while count := stream.readinto(buffer):
            _write(copy, memoryview(buffer)[:count])
            advance(count)
    return hash_file(target)


def hash_file(file: Path) -> Digests:
    """Return the hashes of a file; those of a long one at the same time, since hashlib lets other threads run."""
    if file.stat().st_size < _PIECE:
        return Digests(_digest(file, "md5"), _digest(file, "sha256"))
    with ThreadPoolExecutor(1) as other:
        md5 = other.submit(_digest, file, "md5")
        return Digests(sha256=_digest(file, "sha256"), md5=md5.result())


def recorded_hash(file: Path, found: Digests, kind: str) -> str:
    """Return the hash of `file` in the way `kind` ("md5", or "md5-dos2unix" before DVC 3) that DVC recorded it."""
    return found.md5 if kind == "md5" else file_md5(str(file), name=kind)


def _digest(file: Path, name: str) -> str:
    with file.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, name).hexdigest()


def _write(copy: FileIO, left: memoryview) -> None:
    while left:
        left = left[copy.write(left) :]


def _md5(content: memoryview) -> "hashlib._Hash":
    return hashlib.md5(content, usedforsecurity=False)
