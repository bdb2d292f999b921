"""Tells how far a pass over a table is, at most every two seconds."""

import time

from ropewalk.progress import say

_SECONDS_BETWEEN_LINES = 2.0


class RowMeter:
    """Counts the rows of one pass."""

    def __init__(self, what: str, total: int) -> None:
        """Start the clock; `total` may be an estimate."""
        self._what, self._total = what, total
        self._started = self._said = time.monotonic()
        self.rows = 0
        """Rows that are done."""

    def advance(self, rows: int) -> None:
        """Count rows that are done."""
        self.rows += rows
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        rate = self.rows / (now - self._started)
        left = max(self._total - self.rows, 0)
        say(
            f"{self._what}: {self.rows:,} of {max(self._total, self.rows):,} rows, {rate:,.0f} rows/s, "
            f"{left / rate:,.0f} s left"
        )

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started
