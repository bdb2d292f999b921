"""Runs a compiled pipeline with `kfp.local`, in a process of its own.

kfp.local 2.17 has no callbacks, so these of its functions are replaced, here and nowhere else:

| function | what kfp does | what is done instead |
|---|---|---|
| run_local_subprocess | prints a step's output, looks only at its exit code | log file, events, outputs checked |
| replace_python_executable | replaces any text `python3`, in parameters too | in the command only |
| get_local_pipeline_resource_name | names the folder of outputs after the pipeline and the time | `artifacts` |
| replace_placeholders | gives random digits for the run's id | the run's own id and name |
"""

import codecs
import io
import json
import os
import select
import shlex
import subprocess
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kfp import components, local
from kfp.local import executor_input_utils, placeholder_utils, subprocess_task_handler

from ropewalk.artifacts import write_json
from ropewalk.launch.outcome import find_missing_outputs, read_outputs, read_pages
from ropewalk.launch.output import Chatter, failure_message, failure_tail
from ropewalk.launch.runs import LOGS, PIPELINE, log_name
from ropewalk.launch.steps import FINISHED_EVENT, LINE_EVENT, STARTED_EVENT

ARTIFACTS = "artifacts"
FAILURE = "failure.json"
MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux's limit for one argument of a command (MAX_ARG_STRLEN)."""
MAX_LINE = 500
KEPT_LINES = 2000
PATIENCE_SECONDS = 0.2
"""How long a step that has ended may be silent before its output counts as complete."""

Emit = Callable[[dict[str, Any]], None]


def run_compiled(run_folder: Path, arguments: dict[str, Any], emit: Emit) -> None:
    """Run `run_folder`/pipeline.yaml to its end, telling `emit` what happens to each step.

    Raises:
        RuntimeError: From kfp.local, when a step failed.
    """
    warnings.filterwarnings("ignore", message="You may be attemping to run a task that uses custom")
    _replace_functions(run_folder, StepRunner(run_folder, emit))
    # A workspace folder that does not exist is neither used nor deleted: kfp.local removes the one it is given.
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(run_folder),
        workspace_root=str(run_folder / "no-workspace"),
    )
    components.load_component_from_file(str(run_folder / PIPELINE))(**arguments)


def use_this_interpreter(full_command: list[str], executable: str) -> list[str]:
    """Return the command with `executable` for python3 in the shell script, and nowhere else."""
    return [
        part.replace("python3 -m ", f"{shlex.quote(executable)} -m ") if _is_script(full_command, number) else part
        for number, part in enumerate(full_command)
    ]


class StepRunner:
    """Runs the steps of one run as subprocesses."""

    def __init__(self, run_folder: Path, emit: Emit) -> None:
        self._run_folder = run_folder
        self._emit = emit

    def run(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """Run one step to its end and return 0 when it did all that it declares, else its exit code or 1."""
        executor_input = json.loads(full_command[full_command.index("--executor_input") + 1])
        task = self._task_name(executor_input)
        log = self._run_folder / LOGS / log_name(task)
        started = time.time()
        self._emit({"event": STARTED_EVENT, "task": task, "time": started})
        code, lines = self._stream(full_command, env_vars or {}, task, log)
        error = self._judge(executor_input, task, lines, code)
        self._emit(
            {
                "event": FINISHED_EVENT,
                "task": task,
                "seconds": round(time.time() - started, 3),
                "error": error,
                "outputs": read_pages(executor_input) if error else read_outputs(executor_input),
            }
        )
        return code or int(bool(error))

    def _task_name(self, executor_input: dict[str, Any]) -> str:
        folder = Path(executor_input["outputs"]["outputFile"]).parent
        return folder.relative_to(self._run_folder / ARTIFACTS).as_posix()

    def _stream(self, full_command: list[str], env_vars: dict[str, str], task: str, log: Path) -> tuple[int, list[str]]:
        """Run the command, copy its output to `log` and to events; return its exit code and its own last lines."""
        own_lines: deque[str] = deque(maxlen=KEPT_LINES)
        with log.open("a", encoding="utf-8") as stream:
            longest = max(len(part.encode()) for part in full_command)
            if longest > MAX_ARGUMENT_BYTES:
                problem = (
                    f"The inputs of this step take {longest:,} bytes as JSON; Linux passes at most "
                    f"{MAX_ARGUMENT_BYTES:,} on a command line. Hand big values over as artifacts."
                )
                stream.write(f"{problem}\n")
                return 1, [problem]
            with subprocess.Popen(
                full_command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env_vars},
            ) as process:
                chatter = Chatter()
                for line in _lines(process):
                    stream.write(f"{line}\n")
                    stream.flush()
                    if not chatter.covers(line):
                        own_lines.append(line)
                        self._emit({"event": LINE_EVENT, "task": task, "text": line[:MAX_LINE]})
                return process.wait(), list(own_lines)

    def _judge(self, executor_input: dict[str, Any], task: str, lines: list[str], code: int) -> str:
        """Return why the step failed, "" when it did not, and leave the reason for the exit step to read."""
        failure = self._run_folder / FAILURE
        if code:
            error = failure_message(lines, code)
        else:
            missing = find_missing_outputs(executor_input)
            error = " ".join(["The step exited with code 0 but did not do its work.", *missing]) if missing else ""
        if error and not failure.exists():
            write_json(failure, {"task": task, "error": error, "error_tail": failure_tail(lines) if code else error})
        elif not error and failure.exists() and json.loads(failure.read_text(encoding="utf-8"))["task"] == task:
            failure.unlink()
        return error


def _replace_functions(run_folder: Path, steps: StepRunner) -> None:
    replace_placeholders = placeholder_utils.replace_placeholders

    def name_the_run(**values: Any) -> Any:
        return replace_placeholders(
            **{**values, "unique_pipeline_id": run_folder.name, "pipeline_resource_name": run_folder.name}
        )

    placeholder_utils.replace_placeholders = name_the_run
    executor_input_utils.get_local_pipeline_resource_name = lambda _pipeline_name: ARTIFACTS
    subprocess_task_handler.run_local_subprocess = steps.run
    subprocess_task_handler.replace_python_executable = use_this_interpreter


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Yield what the process prints until it has ended, even while a child of its own still holds the pipe."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(errors="replace"), translate=True)
    rest = ""
    quiet = False
    while not (quiet and process.poll() is not None):
        quiet = not select.select([pipe], [], [], PATIENCE_SECONDS)[0]
        chunk = b"" if quiet else os.read(pipe, 65536)
        if not quiet and not chunk:
            break
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from lines
    if rest:
        yield rest


def _is_script(full_command: list[str], number: int) -> bool:
    return full_command[max(number - 2, 0) : number] in (["sh", "-c"], ["sh", "-ec"])
