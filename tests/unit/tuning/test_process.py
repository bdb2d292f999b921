"""A trial's processes: a session of their own, found and ended even by a later engine."""

import os
import sys
import time

import psutil
import pytest

from ropewalk.tuning.process import LOG, TrialProcess, empty_folder, end_leftovers, exit_code


@pytest.fixture
def run(tmp_path):
    """Return a function that starts a line of shell; what is left is ended after the test."""
    started = []

    def start(line):
        empty_folder(tmp_path / "t")
        started.append(TrialProcess(tmp_path / "t", line, os.environ))
        return started[-1]

    yield start
    for process in started:
        process.finish()


def _wait(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("line", "code"), [("true", 0), ("exit 7", 7), ("sh -c 'kill -9 $$'", 137), ("nosuch", 127)])
def test_the_exit_code_is_noted(run, tmp_path, line, code):
    process = run(line)
    _wait(process.has_ended)
    assert exit_code(tmp_path / "t") == code


def test_both_streams_go_to_the_log_and_files_to_a_folder_of_its_own(run, tmp_path):
    process = run("echo out; echo err >&2; pwd > here")
    _wait(process.has_ended)
    assert (tmp_path / "t" / LOG).read_text().split() == ["out", "err"]
    assert (tmp_path / "t" / "work" / "here").read_text().strip() == str(tmp_path / "t" / "work")


def test_a_terminated_trial_has_no_exit_code_and_no_process(run, tmp_path):
    process = run("sleep 60 & sleep 60")
    _wait((tmp_path / "t" / "pid").exists)
    assert process.is_alive()
    process.terminate()
    _wait(lambda: not process.is_alive())
    process.finish()
    assert exit_code(tmp_path / "t") is None


def test_a_trial_that_ignores_the_request_is_ended_anyway(run, tmp_path):
    process = run("trap '' TERM; echo ready; while :; do sleep 0.05; done")
    _wait(lambda: "ready" in (tmp_path / "t" / LOG).read_text())
    process.terminate()
    time.sleep(0.2)
    assert process.is_alive()
    process.finish()
    _wait(lambda: not process.is_alive())


def test_a_later_engine_ends_what_an_earlier_one_left(run, tmp_path):
    process = run("trap '' TERM; sleep 60 & sleep 60")
    end_leftovers(tmp_path / "t")
    assert not process.is_alive()


LEAVES = """
import subprocess
print(subprocess.Popen(["sleep", "60"], start_new_session=True).pid, flush=True)
"""


@pytest.mark.parametrize("end", ["finish", "end_leftovers"])
def test_a_process_that_left_the_session_and_closed_all_files_is_ended_too(run, tmp_path, end):
    """As torchrun starts its processes."""
    (tmp_path / "leaves.py").write_text(LEAVES)
    process = run(f"{sys.executable} {tmp_path / 'leaves.py'}; sleep 60")
    _wait(lambda: (tmp_path / "t" / LOG).read_text().endswith("\n"))
    child = psutil.Process(int((tmp_path / "t" / LOG).read_text()))
    process.finish() if end == "finish" else end_leftovers(tmp_path / "t")
    _wait(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_folder_without_leftovers_is_no_error(tmp_path):
    end_leftovers(tmp_path / "none")
    empty_folder(tmp_path / "t")
    end_leftovers(tmp_path / "t")
