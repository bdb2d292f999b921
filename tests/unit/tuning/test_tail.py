"""Lines of a growing file, each once and whole."""

from ropewalk.tuning.tail import Tail, last_lines


def test_lines_come_when_they_are_whole(tmp_path):
    tail = Tail(tmp_path / "log")
    assert tail.lines() == []
    with (tmp_path / "log").open("ab", buffering=0) as log:
        log.write(b"one\ntw")
        assert tail.lines() == ["one"]
        assert tail.lines() == []
        log.write("o\nthreë\nfo".encode())
        assert tail.lines() == ["two", "threë"]
        log.write(b"ur")
    assert tail.rest() == ["four"]
    assert tail.rest() == []


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff loss=1\n")
    assert Tail(tmp_path / "log").lines() == ["\N{REPLACEMENT CHARACTER} loss=1"]


def test_the_last_lines_of_a_log_are_given(tmp_path):
    assert last_lines(tmp_path / "none", 3) == ()
    (tmp_path / "log").write_text("".join(f"{number}\n" for number in range(50_000)))
    assert last_lines(tmp_path / "log", 3) == ("49997", "49998", "49999")
