"""The journal of a local experiment: one line per event, on the disk before anything else happens."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ropewalk.artifacts import disk_errors
from ropewalk.errors import ArtifactError, RunError

Event = dict[str, Any]


class Journal:
    """An append-only file that one process at a time has open."""

    def __init__(self, path: Path) -> None:
        """Open the journal, or start it; a last line that a killed process left half-written is cut off.

        Raises:
            RunError: Another process has it open.
            ArtifactError: It is no journal.
        """
        self._path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Closed in close().
            self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise RunError(
                f"{path.parent} is in use: another process runs this experiment. Wait for it, or give another folder."
            ) from error
        try:
            self.events = self._load()
        except ArtifactError:
            self._file.close()
            raise

    def append(self, event: Mapping[str, Any]) -> None:
        """Write one event and have the disk keep it."""
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        with disk_errors(self._path):
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        self.events.append(dict(event))

    def close(self) -> None:
        """Let others open it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self) -> list[Event]:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        events = []
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                event = json.loads(line)
            except ValueError as error:
                raise ArtifactError(
                    f"{self._path}: line {number} is no JSON ({error}). The journal was altered: give another folder."
                ) from error
            events.append(event)
        return events
