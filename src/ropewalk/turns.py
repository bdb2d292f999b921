"""Turns: one process at a time, agreed on by the tags of a thing on a server that offers no lock.

The bakery algorithm (L. Lamport, "A new solution of Dijkstra's concurrent programming problem", CACM 17(8), 1974):
who wants a turn says that it is drawing a number, draws one above all that it sees, and waits until nobody is drawing
and nobody has a smaller one. Who sees nobody else after having said so needs no number: who comes later waits for it.
It needs no more of a server than that one tag is written, and all are read, at once.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ropewalk.errors import ServiceError

PREFIX = "ropewalk.turn."
"""How the tags begin; they are gone when nobody waits."""

_DRAWING = "0"
_STEP_SECONDS = 0.2
_LEASE_SECONDS = 60.0
"""A process that has not moved for so long is dead: a turn is a few short requests."""
_WAIT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Board:
    """Tags that all who take turns see."""

    title: str
    """What they belong to, for messages."""
    read: Callable[[], Mapping[str, str]]
    """Returns all tags."""
    write: Callable[[str, str], None]
    """Sets one."""
    erase: Callable[[str], None]
    """Removes one."""


@contextmanager
def turn(board: Board) -> Iterator[None]:
    """Yield when every other process that takes turns on `board` has had its own, or is dead.

    Raises:
        ServiceError: It has taken ten minutes.
    """
    mine = f"{PREFIX}{uuid.uuid4().hex}"
    try:
        board.write(mine, _DRAWING)
        if others := _others(board, mine):
            number = 1 + max(int(drawn) for drawn in others.values())
            board.write(mine, str(number))
            _wait(board, mine, number)
        yield
    except BaseException as error:
        _leave(board, mine, error)
        raise
    board.erase(mine)


def _wait(board: Board, mine: str, number: int) -> None:
    started = time.monotonic()
    seen: dict[tuple[str, str], float] = {}
    while ahead := {tag: drawn for tag, drawn in _others(board, mine).items() if _goes_first(tag, drawn, mine, number)}:
        now = time.monotonic()
        for tag, drawn in ahead.items():
            if now - seen.setdefault((tag, drawn), now) > _LEASE_SECONDS:
                board.erase(tag)
        if now - started > _WAIT_SECONDS:
            raise ServiceError(
                f"{len(ahead)} other processes have been changing {board.title} for {_WAIT_SECONDS:.0f} s. "
                f"Run again when they have ended; should there be none, remove its tags that begin with {PREFIX}."
            )
        time.sleep(_STEP_SECONDS * len(ahead))


def _goes_first(tag: str, drawn: str, mine: str, number: int) -> bool:
    return drawn == _DRAWING or (int(drawn), tag) < (number, mine)


def _others(board: Board, mine: str) -> dict[str, str]:
    return {tag: drawn for tag, drawn in board.read().items() if tag.startswith(PREFIX) and tag != mine}


def _leave(board: Board, mine: str, error: BaseException) -> None:
    try:
        board.erase(mine)
    except Exception as second:  # noqa: BLE001 (whatever the server says, the first error is the one to tell)
        error.add_note(f"The tag {mine} of {board.title} could not be removed either, others wait a minute: {second}")
