"""Lets the runs of a server go on by themselves, as those of a real one do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kfp_server.server import KfpServer


@contextmanager
def time_passes(server: KfpServer, *, step: float = 7.0) -> Iterator[None]:
    """While the block runs, move all runs on ten times a second, and the server's clock by `step` seconds each time."""
    stopped = threading.Event()

    def go_on() -> None:
        while not stopped.wait(0.1):
            with server.state.lock:
                server.state.skew += step
                for run in server.state.runs.values():
                    run.look(server.state.plan)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
