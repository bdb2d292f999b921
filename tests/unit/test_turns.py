import threading
import time

import pytest

from ropewalk import turns
from ropewalk.errors import ServiceError
from ropewalk.turns import PREFIX, Board, turn


class Tags:
    """Tags on a server: each call is atomic, and takes a while."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.board = Board(title="the thing", read=self._read, write=self._write, erase=self._erase)

    def _read(self) -> dict[str, str]:
        time.sleep(0.002)
        return dict(self.kept)

    def _write(self, tag: str, value: str) -> None:
        time.sleep(0.002)
        self.kept[tag] = value

    def _erase(self, tag: str) -> None:
        self.kept.pop(tag, None)


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> Tags:
    monkeypatch.setattr(turns, "_STEP_SECONDS", 0.001)
    return Tags()


def test_twenty_at_once_never_overlap_and_leave_nothing(tags: Tags) -> None:
    inside, most, done = [], [], []

    def work(number: int) -> None:
        with turn(tags.board):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.001)
            inside.remove(number)
        done.append(number)

    threads = [threading.Thread(target=work, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (max(most), sorted(done), tags.kept) == (1, list(range(20)), {})


def test_one_alone_asks_the_server_three_times(tags: Tags) -> None:
    asked: list[str] = []

    def counted(name: str, call):
        return lambda *given: (asked.append(name), call(*given))[1]

    calls = {name: counted(name, getattr(tags.board, name)) for name in ("read", "write", "erase")}
    with turn(Board(title="the thing", **calls)):
        assert asked == ["write", "read"]
    assert asked == ["write", "read", "erase"]


def test_one_that_comes_later_waits_for_one_that_came_alone(tags: Tags) -> None:
    order: list[str] = []

    def later() -> None:
        with turn(tags.board):
            order.append("later")

    thread = threading.Thread(target=later)
    with turn(tags.board):
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(60)
    assert order == ["first", "later"]


def test_one_whose_block_raises_lets_the_next_one_in(tags: Tags) -> None:
    with pytest.raises(ValueError, match="boom"), turn(tags.board):
        raise ValueError("boom")
    assert tags.kept == {}


@pytest.mark.parametrize("drawn", ["0", "1"])
def test_one_that_died_while_drawing_or_inside_is_passed_over(
    drawn: str, tags: Tags, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_LEASE_SECONDS", 0.05)
    tags.kept[f"{PREFIX}0-dead"] = drawn
    with turn(tags.board):
        assert f"{PREFIX}0-dead" not in tags.kept
    assert tags.kept == {}


def test_one_that_waits_too_long_is_told_and_gives_up(tags: Tags, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_WAIT_SECONDS", 0.05)
    tags.kept[f"{PREFIX}0-long"] = "1"
    with pytest.raises(ServiceError, match="1 other processes have been changing the thing"), turn(tags.board):
        pass
    assert list(tags.kept) == [f"{PREFIX}0-long"]


def test_tags_of_others_do_not_count(tags: Tags) -> None:
    tags.kept["team"] = "houses"
    with turn(tags.board):
        assert len(tags.kept) == 2
    assert tags.kept == {"team": "houses"}


def test_an_error_of_the_server_while_leaving_does_not_hide_the_first(tags: Tags) -> None:
    def refused(tag: str) -> None:
        raise OSError("gone")

    board = Board(title="the thing", read=tags.board.read, write=tags.board.write, erase=refused)
    with pytest.raises(ValueError, match="boom") as caught, turn(board):
        raise ValueError("boom")
    assert "could not be removed either" in caught.value.__notes__[0]
