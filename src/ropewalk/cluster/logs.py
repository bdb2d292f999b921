"""The log of a pod's container, line by line: followed while it is written, and searched when it is over."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator

from ropewalk.cluster.connection import Cluster

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|[+-]\d\d:\d\d)")
_TRACEBACK = "Traceback (most recent call last):"
_REPORT = re.compile(r"failed \(exitcode: -?\d+\) local_rank: \d+")
"""How torchrun's report on its workers begins (torch/distributed/elastic/multiprocessing/api.py)."""
_CONSEQUENCES = ("ChildFailedError", "DistNetworkError", "DistBackendError", "SignalException")
"""Exceptions by which a process tells that another one has failed: torchrun's own, and those of its peers."""


class FollowedLog:
    """Passes on every line of a container's log once, however often the connection breaks."""

    def __init__(self, cluster: Cluster, pod: str, container: str, on_line: Callable[[str], None]) -> None:
        self._cluster, self._pod, self._container, self._on_line = cluster, pod, container, on_line
        self._over = threading.Event()
        self._stopped = threading.Event()
        self._last = ("", 0)
        """Time stamp of the last line that was passed on, and how many lines with that stamp were."""
        self._thread = threading.Thread(target=self._follow, name=f"log of {pod}", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Pass on the rest of a container's log that has ended; takes `seconds` at most."""
        self._over.set()
        self._thread.join(seconds)
        self.stop()

    def stop(self) -> None:
        """Pass on nothing more."""
        self._stopped.set()

    def _follow(self) -> None:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        pause = self._cluster.patience.first_retry
        while not self._stopped.is_set():
            last_reading = self._over.is_set()
            try:
                self._read(follow=not last_reading)
                if last_reading:
                    return
            except (ApiException, HTTPError, OSError) as error:
                if last_reading and isinstance(error, ApiException) and error.status == 404:
                    return
                pause = min(2 * pause, self._cluster.patience.longest_poll)
            else:
                pause = self._cluster.patience.first_retry
            # A follower must be told that the log is over: an idle connection is cut in just the same way.
            self._over.wait(pause) and self._stopped.wait(min(pause, self._cluster.patience.first_retry))

    def _read(self, *, follow: bool) -> None:
        # Each reading begins at the log's start: the server can skip by whole seconds only, and by its own clock.
        stamp, count = self._last
        skip = count
        response = self._cluster.open_log(self._pod, self._container, follow=follow)
        try:
            for line in _lines(response.stream(amt=2**16)):
                if self._stopped.is_set():
                    return
                found, text = _split(line)
                if found < stamp:
                    continue
                if found == stamp and skip:
                    skip -= 1
                    continue
                self._pass_on(found, text)
        finally:
            response.close()

    def _pass_on(self, stamp: str, text: str) -> None:
        last, count = self._last
        self._last = (stamp, count + 1) if stamp == last else (stamp, 1)
        self._on_line(text)


def first_traceback(lines: list[str]) -> list[str]:
    """Return the first traceback in `lines` that tells a cause and not that another process failed; [] if none does."""
    for start, line in enumerate(lines):
        if _TRACEBACK in line:
            block = _block(lines[start:], line.index(_TRACEBACK))
            if not any(name in block[-1] for name in _CONSEQUENCES):
                return block
    return []


def before_report(lines: list[str]) -> list[str]:
    """Return what the workers printed: all of `lines` before torchrun's last report on them."""
    reports = [number for number, line in enumerate(lines) if _REPORT.search(line)]
    return lines[: reports[-1]] if reports else lines


def _block(lines: list[str], indent: int) -> list[str]:
    """Return a traceback from its head to its exception's message; torchrun indents what its workers left."""
    for end, line in enumerate(lines[1:], start=1):
        text = line[indent:]
        if text and not text[0].isspace():
            return [entry[indent:] for entry in lines[: end + 1]]
    return [entry[indent:] for entry in lines]


def _split(line: str) -> tuple[str, str]:
    """Return a line's time stamp, in a form that sorts, and its text."""
    head, _, text = line.partition(" ")
    found = _STAMP.fullmatch(head)
    # Go leaves out a fraction's trailing zeros, so that the stamps as they come do not sort.
    return (f"{found[1]}.{found[2] or '':0<9}", text) if found else ("", line)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
