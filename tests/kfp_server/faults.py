"""What goes wrong on the way to a server, on purpose: given once or several times, to requests that match."""

import re
import threading
import time
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Fault:
    """One thing that goes wrong."""

    status: int = 0
    """The status that is answered instead, such as 503; 0: none, the connection is what fails."""
    times: int = 1
    """How many requests it happens to."""
    method: str = ".*"
    """Regular expression: to requests by these methods."""
    path: str = ".*"
    """Regular expression: to requests of these paths."""
    reset: bool = False
    """Break the connection instead of answering."""
    after: bool = False
    """Do what is asked for first, so that only the answer is lost."""
    seconds: float = 0.0
    """Wait for so long first."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of the answer, such as Retry-After."""


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **fault: object) -> None:
        """Have a `Fault` with these fields happen."""
        with self._lock:
            self._waiting.append(Fault(**fault))

    def clear(self) -> None:
        """Have nothing go wrong any more."""
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that happens to this request, None when none does; waits where the fault says so."""
        with self._lock:
            for fault in self._waiting:
                if re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    if fault.times == 0:
                        self._waiting.remove(fault)
                    break
            else:
                return None
        time.sleep(fault.seconds)
        return fault
