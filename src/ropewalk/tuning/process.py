"""The processes of one trial: a shell in a session of its own and all that it starts.

Even a later engine can find and end them: by their session, and those that left it (torchrun gives each of its
processes one) by a variable that they inherit.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ropewalk.artifacts import disk_errors
from ropewalk.errors import RunError

LOG = "trial.log"
WORK = "work"
_LOCK, _PID, _EXIT = "lock", "pid", "exit"
_MARK = "ROPEWALK_TRIAL"
_LEFTOVER_SECONDS = 30.0


class TrialProcess:
    """A running trial.

    The shell and what it starts hold a lock of the folder for as long as they live, so that an engine which finds the
    lock taken knows that they do. The shell writes its number first and the exit code last.
    """

    def __init__(self, folder: Path, line: str, env: Mapping[str, str]) -> None:
        """Run a line of shell in `folder`/work, made by `empty_folder`, all output into `folder`/trial.log."""
        self.folder = folder
        with disk_errors(folder):
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # The subshell keeps an `exit` of the line from skipping the note of its code.
        script = f"echo $$ > ../{_PID}\n(\n{line}\n)\necho $? > ../{_EXIT}"
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with (folder / LOG).open("wb") as log:
                self._shell = subprocess.Popen(
                    ["sh", "-c", script],
                    cwd=folder / WORK,
                    env={**env, _MARK: str(folder.absolute())},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(lock,),
                )
        finally:
            os.close(lock)

    def has_ended(self) -> bool:
        """Return whether the shell has ended; its number stays taken until `finish`, so that no stranger gets it."""
        found = os.waitid(os.P_PID, self._shell.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    def terminate(self) -> None:
        """Ask all processes of the trial to end."""
        _signal_group(self._shell.pid, signal.SIGTERM)

    def is_alive(self) -> bool:
        """Return whether any process of the trial lives that has not closed what it inherited."""
        return _is_locked(self.folder)

    def finish(self) -> None:
        """End what is left of the trial, at once."""
        _signal_group(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        _kill_marked(self.folder)


def empty_folder(folder: Path) -> None:
    """Make a trial's folder, without what an earlier attempt left."""
    with disk_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)
        (folder / WORK).mkdir(parents=True)


def exit_code(folder: Path) -> int | None:
    """Return the exit code of the trial in `folder`, None when it has not ended by itself."""
    try:
        text = (folder / _EXIT).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return int(text) if text.endswith("\n") else None


def ended_at(folder: Path) -> float:
    """Return when a trial that has an exit code ended, seconds since 1970."""
    return (folder / _EXIT).stat().st_mtime


def end_leftovers(folder: Path) -> None:
    """End the processes that an engine which was killed left behind.

    Raises:
        RunError: They cannot be ended.
    """
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    while _kill_marked(folder) or _is_locked(folder):
        if (pid := _read_pid(folder)) is not None:
            _signal_group(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise RunError(f"Processes of an earlier run still work in {folder} and cannot be ended: end them first.")
        time.sleep(0.01)


def _kill_marked(folder: Path) -> int:
    """Kill the processes that have inherited the trial's mark; return how many there were."""
    import psutil

    found, mark = 0, str(folder.absolute())
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                found += 1
        except (psutil.Error, OSError):
            # It has ended, or is a stranger's.
            continue
    return found


def _is_locked(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _read_pid(folder: Path) -> int | None:
    try:
        text = (folder / _PID).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return int(text) if text.endswith("\n") else None


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
