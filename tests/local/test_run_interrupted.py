"""`ropewalk run` that is stopped or killed: nothing goes on, the record tells the truth, and the next run works."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.fixture
def sleeping(ropewalk, wait_for):
    """A run in the middle of its step, and that step's process id."""
    pid_file, scratch = ropewalk.folder / "pid", ropewalk.folder / "scratch"
    scratch.mkdir()
    process = ropewalk.start("run", ropewalk.yaml("sleeping"), "--pid-file", str(pid_file), TMPDIR=str(scratch))
    return process, int(wait_for(lambda: pid_file.exists() and pid_file.read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_run_ends_its_steps_and_the_next_run_passes(ropewalk, sleeping, wait_for, number):
    process, step = sleeping
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "")
    assert "Interrupted: all steps were stopped" in out
    assert wait_for(lambda: _is_gone(step))
    assert ropewalk.record()["state"] == "interrupted"
    assert ropewalk.record()["steps"][0]["state"] == "interrupted"
    assert list((ropewalk.folder / "scratch").iterdir()) == []
    assert ropewalk.run("passing", "--text", "words").returncode == 0


def test_a_run_under_nohup_survives_a_closed_terminal(ropewalk):
    script = (
        "import signal, sys, threading, os, time; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "threading.Timer(1.2, os.kill, (os.getpid(), signal.SIGHUP)).start();"
        "from ropewalk.cli import main; main()"
    )
    arguments = ["run", ropewalk.yaml("passing"), "--text", "words"]
    environment = {**os.environ, "ROPEWALK_HOME": str(ropewalk.home)}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments], env=environment, capture_output=True, check=False
    )
    assert ended.returncode == 0
    assert ropewalk.record()["state"] == "succeeded"


def test_a_killed_worker_fails_the_run_and_takes_its_steps_along(ropewalk, sleeping, wait_for):
    process, step = sleeping
    os.kill(os.getpgid(step), signal.SIGKILL)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "killed by SIGKILL" in out
    assert wait_for(lambda: _is_gone(step))
    assert ropewalk.record()["state"] == "failed"
    assert list((ropewalk.folder / "scratch").iterdir()) == []


def test_a_run_whose_command_was_killed_stops_and_is_listed_as_interrupted(ropewalk, sleeping, wait_for):
    process, step = sleeping
    assert " running " in ropewalk.call("runs").stdout
    process.kill()
    process.communicate(timeout=20)
    assert wait_for(lambda: _is_gone(step))
    assert " interrupted " in ropewalk.call("runs").stdout


def test_two_runs_at_once_in_one_folder_do_not_disturb_each_other(ropewalk):
    both = [ropewalk.start("run", ropewalk.yaml("passing"), "--text", text) for text in ("one", "three")]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert sorted((folder / "artifacts/make-text/data").read_text() for folder in ropewalk.folders()) == [
        "one",
        "three",
    ]
