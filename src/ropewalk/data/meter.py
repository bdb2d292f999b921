"""Tells how far a transfer is, at most once a second."""

import threading
import time

from ropewalk.progress import say

_SECONDS_BETWEEN_LINES = 1.0


class Meter:
    """Counts the files and bytes of one transfer, from any thread."""

    def __init__(self, files: int, total_bytes: int | None) -> None:
        self._files, self._total_bytes = files, total_bytes
        self._files_done = self._bytes_done = 0
        self._started = self._said = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, count: int) -> None:
        """Count bytes that have come."""
        with self._lock:
            self._bytes_done += count
            self._say_when_due()

    def file_done(self) -> None:
        """Count a file that is whole and checked."""
        with self._lock:
            self._files_done += 1

    def _say_when_due(self) -> None:
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        of_all = f" of {self._total_bytes / 1e6:,.1f}" if self._total_bytes else ""
        rate = self._bytes_done / 1e6 / (now - self._started)
        say(
            f"Fetched {self._files_done:,} of {self._files:,} file(s), {self._bytes_done / 1e6:,.1f}{of_all} MB, "
            f"{rate:,.1f} MB/s."
        )
