"""Progress lines of training: per epoch, and inside long epochs at intervals. Only rank 0 speaks."""

import time
from collections.abc import Sequence
from typing import Any

from ropewalk.progress import say
from ropewalk.training.system import gpu_words


class Progress:
    """Says where training stands and how long it may still take."""

    def __init__(self, *, leads: bool, epochs: int, steps: Sequence[int], score: str, log_seconds: float) -> None:
        """Report on `epochs` epochs of `steps` steps each; `score` names the validation score."""
        self._leads = leads
        self._epochs = epochs
        self._steps = steps
        self._score = score
        self._log_seconds = log_seconds
        self._started = time.monotonic()
        self._first = 0
        self.next = self._started + log_seconds
        """When the next line inside an epoch is due, by time.monotonic()."""

    def start(self, done: int) -> None:
        """Begin to measure at `done` steps."""
        self._first = done
        self._started = time.monotonic()

    def inside(self, epoch: int, step: int, *, done: int, loss: float, rows_per_second: float, gpu: str) -> None:
        """Report from the middle of an epoch."""
        self.next = time.monotonic() + self._log_seconds
        self.tell(
            f"epoch {epoch}/{self._epochs}  {100 * step / self._steps[epoch - 1]:.0f} %  train loss {loss:.4f}  "
            f"{rows_per_second:,.0f} rows/s  {self._left(done)}{'  ' if gpu else ''}{gpu}"
        )

    def epoch(self, entry: dict[str, Any], *, done: int, best: bool) -> None:
        """Report on an epoch that has ended; `entry` is its line of the history."""
        self.next = time.monotonic() + self._log_seconds
        gpu = gpu_words({name: value for name, value in entry.items() if name.startswith("system/")})
        self.tell(
            f"epoch {entry['epoch']}/{self._epochs}  train loss {entry['train_loss']:.4f}  "
            f"validation loss {entry['validation_loss']:.4f}  "
            f"{self._score} {entry[f'validation_{self._score}']:.4f}{' (best)' if best else ''}  "
            f"{entry['rows_per_second']:,.0f} rows/s  {self._left(done)}{'  ' if gpu else ''}{gpu}"
        )

    def tell(self, text: str) -> None:
        """Say one line, once for all processes."""
        if self._leads:
            say(text)

    def _left(self, done: int) -> str:
        measured = done - self._first
        if not measured:
            return ""
        seconds = (time.monotonic() - self._started) / measured * (sum(self._steps) - done)
        return f"at most {seconds:.0f} s left"
