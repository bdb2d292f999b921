"""One step at work, wherever it runs."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a step is to do."""

    task: str
    """The step's name; inside a loop the iteration's name and "/" come first."""
    command: list[str]
    """The program and its arguments, as compiled, with KFP's placeholders filled in."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that the compiled YAML sets."""
    inputs: dict[str, Any] = field(default_factory=dict)
    """KFP's executor input."""


class Work(Protocol):
    """A step that has been started."""

    def lines(self) -> Iterator[str]:
        """Yield what it prints, until it has ended."""

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and, where it is known, what killed it."""


class Place(Protocol):
    """Where steps run."""

    def start(self, call: Call) -> AbstractContextManager[Work]:
        """Start a step; with the block it is gone, whether it has ended or not.

        Raises:
            RopewalkError: It cannot be started.
        """

    def stop(self) -> None:
        """End every step that runs, from any thread or signal handler."""
