"""Runs a compiled pipeline on this machine: one worker process, its events, and its end."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from ropewalk.launch import runs
from ropewalk.launch.runs import Run, new_run, now
from ropewalk.launch.specification import Specification
from ropewalk.launch.steps import LINE_EVENT, Step, Steps

STOP_SECONDS = 6.0
"""How long a stopped run may clean up after SIGTERM before it is killed."""


class Progress(Protocol):
    """Shows a run while it goes on."""

    def show(self, steps: Steps, step: Step, event: str) -> None:
        """Show that `event` ("started", "line" or "finished") happened to `step`."""


class Containers(Protocol):
    """Has the steps of a run work in containers."""

    def save(self, run_folder: Path) -> None:
        """Keep in the folder of a run how its containers are made."""

    def stop(self, run_folder: Path) -> None:
        """Leave no container of that run behind."""


def run_local(
    text: str,
    specification: Specification,
    arguments: dict[str, Any],
    *,
    home: Path,
    progress: Progress,
    containers: Containers | None = None,
) -> Run:
    """Run the compiled pipeline `text` with `arguments`, to its end, and return what became of it.

    The run is kept in `home`/runs/<id>: pipeline.yaml, run.json, logs, artifacts. Ctrl-C, SIGTERM and a closed terminal
    stop all steps and leave the state "interrupted". Steps are processes of this machine, or work in `containers`.

    Raises:
        StorageError: The disk is full or read-only.
    """
    with new_run(home, specification.name, arguments) as run:
        (run.folder / runs.PIPELINE).write_text(text, encoding="utf-8")
        if containers:
            containers.save(run.folder)
        steps = Steps(specification.tasks)
        with (
            _signals_as_keyboard_interrupt(),
            tempfile.TemporaryDirectory(prefix="ropewalk-", ignore_cleanup_errors=True) as scratch,
            (run.folder / runs.LOGS / "kfp.log").open("w", encoding="utf-8") as log,
        ):
            worker = _start_worker(run, log, scratch)
            try:
                _follow(worker, run, steps, progress)
            except KeyboardInterrupt:
                run.error = "Interrupted: all steps were stopped. Run the same command again to start afresh."
                run.state = runs.INTERRUPTED
            finally:
                _stop(worker, run, containers)
        _conclude(run, steps, worker.returncode)
        return run


def _start_worker(run: Run, log: IO[str], scratch: str) -> "subprocess.Popen[str]":
    home = run.folder.parent.parent
    environment = {name: value for name, value in os.environ.items() if name != "_KFP_RUNTIME"}
    return subprocess.Popen(
        [sys.executable, "-m", "ropewalk.launch.worker", str(run.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        env={
            **environment,
            "ROPEWALK_HOME": str(home),
            "ROPEWALK_RUN_ID": run.id,
            "ROPEWALK_RUN_DIR": str(run.folder),
            "PYTHONUNBUFFERED": "1",
            # The current folder may hold a pandas.py.
            "PYTHONSAFEPATH": "1",
            # KFP's wrapper leaves a temporary folder behind for each step.
            "TMPDIR": scratch,
        },
    )


def _follow(worker: "subprocess.Popen[str]", run: Run, steps: Steps, progress: Progress) -> None:
    """Take over the worker's events until it has ended."""
    for line in worker.stdout or ():
        event = json.loads(line)
        step = steps.apply(event)
        if event["event"] != LINE_EVENT:
            _publish_pages(run, step)
            run.steps = steps.as_records()
            run.save()
        progress.show(steps, step, event["event"])
    worker.wait()


def _conclude(run: Run, steps: Steps, code: int) -> None:
    """Write down how the run ended."""
    steps.close()
    run.steps, run.ended = steps.as_records(), now().isoformat(timespec="milliseconds")
    if run.state == runs.RUNNING:
        run.state, run.error = _verdict(run, steps, code)
    run.save()


def _verdict(run: Run, steps: Steps, code: int) -> tuple[str, str]:
    log = run.folder / runs.LOGS / "kfp.log"
    if code < 0:
        name = signal.Signals(-code).name
        return (
            runs.FAILED,
            f"The process that ran the steps was killed by {name}; if by nobody, memory may have run out.",
        )
    if steps.failed:
        return runs.FAILED, steps.failed[0].error
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        return runs.FAILED, f"kfp.local gave up: {last or f'exit code {code}'} (see {shlex.quote(str(log))})."
    return runs.SUCCEEDED, ""


def _publish_pages(run: Run, step: Step) -> None:
    """Copy each HTML page of `step` to <run>/<step>-<output>.html, a name by which browsers know what it is."""
    for name, artifact in step.outputs.get("artifacts", {}).items():
        if artifact["type"] == "system.HTML":
            # A symbolic link would not do: Chromium goes by the name of the file behind it and shows the source.
            page = run.folder / f"{step.task.replace('/', '.')}-{name}.html"
            shutil.copyfile(artifact["path"], page)
            artifact["path"] = str(page)


def _stop(worker: "subprocess.Popen[str]", run: Run, containers: Containers | None) -> None:
    """End the worker and all that it started; a second Ctrl-C meanwhile changes nothing."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGTERM)
            try:
                worker.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
        _kill_what_is_left(worker.pid)
        if containers:
            containers.stop(run.folder)
        for stream in (worker.stdin, worker.stdout):
            if stream:
                stream.close()
    finally:
        signal.signal(signal.SIGINT, before)


def _kill_what_is_left(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def _signals_as_keyboard_interrupt() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal like Ctrl-C, unless they are ignored, as under nohup."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in (number for number, handler in before.items() if handler != signal.SIG_IGN):
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
