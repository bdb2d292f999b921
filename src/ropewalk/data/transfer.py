"""Fetches many objects at once; each is checked against its recorded hash before it counts."""

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from ropewalk.data.cache import Cache
from ropewalk.data.copying import Digests, copy_hashed, hash_file, recorded_hash
from ropewalk.data.meter import Meter
from ropewalk.data.sources import Source
from ropewalk.errors import DataError
from ropewalk.progress import say

_BATCHES_PER_THREAD = 16
_LARGEST_BATCH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A file to fetch."""

    name: str
    """Where it goes, relative to the destination."""
    shown: str
    """What messages call it."""
    oid: str
    """What DVC recorded, which also names the object: the hash (hex), with ".dir" behind it for a list of files."""
    kind: str
    """ "md5", or "md5-dos2unix" before DVC 3."""

    @property
    def md5(self) -> str:
        """The hash (hex) of the bytes."""
        return self.oid.removesuffix(".dir")


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A way for objects from `source` into files."""

    source: Source
    staging: Path
    """A folder that keeps what has come, by hash, until all is there: the next try goes on from it."""
    cache: Cache | None
    """A folder that is shared with other runs; it is asked first."""

    def fetch(self, wanted: Sequence[Wanted], destination: Path, total_bytes: int | None) -> dict[str, str]:
        """Put every file into `destination` and return their SHA-256 (hex), by name.

        Raises:
            SourceError: The source does not have an object, or there is no access to it.
            DataError: The source has other bytes than those recorded.
            ServiceError: The source cannot be reached, or broke off.
        """
        self.staging.mkdir(parents=True, exist_ok=True)
        named: dict[tuple[str, str], list[Wanted]] = defaultdict(list)
        for file in wanted:
            named[file.kind, file.oid].append(file)
        meter = Meter(len(named), total_bytes)
        hashes = self._gather([files[0] for files in named.values()], meter)
        self._place(named.values(), destination)
        return {file.name: hashes[key] for key, files in named.items() for file in files}

    def read(self, wanted: Wanted) -> bytes:
        """Return the checked bytes of one object, which stays in the staging folder."""
        self.staging.mkdir(parents=True, exist_ok=True)
        self._stage(wanted, Meter(1, None))
        return (self.staging / _staged_name(wanted)).read_bytes()

    def _gather(self, objects: Sequence[Wanted], meter: Meter) -> dict[tuple[str, str], str]:
        """Bring all objects into the staging folder; the first failure stops the rest."""
        hashes: dict[tuple[str, str], str] = {}

        def gather(batch: Sequence[Wanted]) -> None:
            for wanted in batch:
                hashes[wanted.kind, wanted.oid] = self._stage(wanted, meter)
                meter.file_done()

        with ThreadPoolExecutor(self.source.threads, thread_name_prefix="fetch") as pool:
            futures = [pool.submit(gather, batch) for batch in _batches(objects, self.source.threads)]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        return hashes

    def _stage(self, wanted: Wanted, meter: Meter) -> str:
        """Bring one object into the staging folder and return its SHA-256."""
        staged = self.staging / _staged_name(wanted)
        if staged.exists():
            found = hash_file(staged)
            if recorded_hash(staged, found, wanted.kind) == wanted.md5:
                meter.advance(staged.stat().st_size)
                return found.sha256
        partial = staged.with_name(f"{staged.name}.partial")
        digests = self._from_cache(wanted, partial, meter) or self._from_source(wanted, partial, meter)
        partial.replace(staged)
        return digests.sha256

    def _from_cache(self, wanted: Wanted, partial: Path, meter: Meter) -> Digests | None:
        if self.cache is None:
            return None
        try:
            digests = copy_hashed(self.cache.path(wanted.oid, wanted.kind), partial, meter.advance)
        except FileNotFoundError:
            return None
        if recorded_hash(partial, digests, wanted.kind) == wanted.md5:
            return digests
        say(f"The cache has other bytes for {wanted.shown} than were recorded; they are replaced.")
        return None

    def _from_source(self, wanted: Wanted, partial: Path, meter: Meter) -> Digests:
        digests = self.source.fetch(wanted.oid, wanted.kind, partial, meter.advance)
        found = recorded_hash(partial, digests, wanted.kind)
        if found != wanted.md5:
            partial.unlink()
            raise DataError(_altered(wanted.shown, found, wanted.md5))
        if self.cache is not None:
            self.cache.add(partial, wanted.oid, wanted.kind)
        return digests

    def _place(self, named: Iterable[list[Wanted]], destination: Path) -> None:
        folders: set[Path] = set()
        for files in named:
            staged = self.staging / _staged_name(files[0])
            places = [destination / file.name for file in files]
            for folder in {place.parent for place in places} - folders:
                folder.mkdir(parents=True, exist_ok=True)
                folders.add(folder)
            for place in places[1:]:
                shutil.copyfile(staged, place)
            staged.rename(places[0])


def _altered(what: str, found: str, recorded: str) -> str:
    return (
        f"The DVC remote has other bytes for {what} than were recorded: its MD5 is {found}, the record says "
        f"{recorded}. Push it again from a copy that `dvc status` finds unchanged."
    )


def _staged_name(wanted: Wanted) -> str:
    return f"{wanted.kind}-{wanted.oid}"


def _batches(objects: Sequence[Wanted], threads: int) -> Iterator[Sequence[Wanted]]:
    """Cut into pieces that are large enough to cost little and many enough to keep all threads busy."""
    size = max(1, min(_LARGEST_BATCH, len(objects) // (threads * _BATCHES_PER_THREAD)))
    return (objects[start : start + size] for start in range(0, len(objects), size))
