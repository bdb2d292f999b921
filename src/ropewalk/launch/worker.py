"""The process that runs one pipeline: `python -m ropewalk.launch.worker RUN_FOLDER`, started by launch.local.

It leads a process group of its own, so that it can be stopped with all its steps, and it ends when whoever started
it is gone. Events go to standard output, one JSON object a line; all that kfp.local prints goes to standard error.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ropewalk.launch.kfp_local import run_compiled
from ropewalk.launch.processes import Processes
from ropewalk.launch.runs import CONTAINERS, PIPELINE, load_run, write_whole
from ropewalk.launch.specification import read_specification
from ropewalk.launch.steps import LINE_EVENT, Steps
from ropewalk.launch.work import Place

STOP_SECONDS = 5.0
"""How long steps may take to clean up after SIGTERM before they are killed."""


def main(run_folder: Path) -> None:
    """Run the pipeline of `run_folder`; when it fails, the process ends with a traceback and code 1."""
    place = _place(run_folder)

    def stop(number: int, _frame: Any) -> None:
        place.stop()
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_stop_when_orphaned, daemon=True).start()
    specification = read_specification((run_folder / PIPELINE).read_text(encoding="utf-8"), source=PIPELINE)
    channel = EventChannel(run_folder, Steps(specification.tasks))
    with contextlib.redirect_stdout(sys.stderr):
        run_compiled(run_folder, load_run(run_folder).parameters, channel.emit, place)


def _place(run_folder: Path) -> Place:
    if not (run_folder / CONTAINERS).is_file():
        return Processes()
    from ropewalk.launch.containers.plan import load_plan
    from ropewalk.launch.containers.runner import Containers

    return Containers(run_folder, load_plan(run_folder))


class EventChannel:
    """Sends events to whoever started this process, and keeps steps.json for the steps themselves to read."""

    def __init__(self, run_folder: Path, steps: Steps) -> None:
        self._file = run_folder / "steps.json"
        self._steps = steps
        self._stream = sys.stdout
        self._lock = threading.Lock()

    def emit(self, event: dict[str, Any]) -> None:
        """Send one event; loops emit from several threads."""
        with self._lock:
            self._steps.apply(event)
            if event["event"] != LINE_EVENT:
                write_whole(self._file, self._steps.brief())
            self._stream.write(json.dumps(event) + "\n")
            self._stream.flush()


def _stop_when_orphaned() -> None:
    """Stop this process and its steps when standard input closes: the process that started this one has died."""
    # Not sys.stdin: a thread that waits inside it makes Python abort at exit.
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
