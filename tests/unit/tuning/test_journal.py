"""The journal survives a kill at any byte and is open once."""

import pytest

from ropewalk.errors import ArtifactError, RunError
from ropewalk.tuning.journal import Journal


def test_events_come_back_in_their_order(tmp_path):
    with Journal(tmp_path / "a" / "j.jsonl") as journal:
        journal.append({"n": 1})
        journal.append({"n": 2.5, "text": "line\nbreak"})
    with Journal(tmp_path / "a" / "j.jsonl") as journal:
        assert journal.events == [{"n": 1}, {"n": 2.5, "text": "line\nbreak"}]


def test_a_half_written_last_line_is_cut_off_wherever_it_ends(tmp_path):
    file = tmp_path / "j.jsonl"
    with Journal(file) as journal:
        journal.append({"n": 1})
        journal.append({"n": 2})
    whole = file.read_bytes()
    for length in range(len(whole) // 2, len(whole)):
        file.write_bytes(whole[:length])
        with Journal(file) as journal:
            assert journal.events == [{"n": 1}]
            journal.append({"n": 3})
        with Journal(file) as journal:
            assert journal.events == [{"n": 1}, {"n": 3}]


def test_two_processes_cannot_have_it_open(tmp_path):
    with Journal(tmp_path / "j.jsonl"), pytest.raises(RunError, match="is in use: another process"):
        Journal(tmp_path / "j.jsonl")


def test_a_line_that_was_altered_is_refused(tmp_path):
    (tmp_path / "j.jsonl").write_text('{"n": 1}\nnonsense\n{"n": 2}\n')
    with pytest.raises(ArtifactError, match="line 2 is no JSON"):
        Journal(tmp_path / "j.jsonl")
