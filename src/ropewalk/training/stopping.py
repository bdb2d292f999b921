"""SIGTERM, by which schedulers stop a process, as a flag that the loop looks at between steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class StopFlag:
    """Whether this process was told to stop."""

    wanted: bool = False


@contextmanager
def listening() -> Iterator[StopFlag]:
    """Yield a flag that SIGTERM raises; after the block SIGTERM does what it did before.

    Python lets only the main thread take signals; in another one the flag stays down, and SIGTERM ends the process.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def raise_flag(number: int, frame: object) -> None:
        del number, frame
        flag.wanted = True

    before = signal.signal(signal.SIGTERM, raise_flag)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGTERM, before)
