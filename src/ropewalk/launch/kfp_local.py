"""Runs a compiled pipeline with `kfp.local`, in a process of its own.

kfp.local 2.17 has no callbacks, so these of its functions are replaced, here and nowhere else:

| function | what kfp does | what is done instead |
|---|---|---|
| run_local_subprocess | prints a step's output, looks only at its exit code | log file, events, outputs checked |
| DockerTaskHandler.run | the same, without limits; takes a lost exit code for success | a locked container, checked |
| replace_python_executable | replaces any text `python3`, in parameters too | in the command only |
| get_local_pipeline_resource_name | names the folder of outputs after the pipeline and the time | `artifacts` |
| replace_placeholders | gives random digits for the run's id | the run's own id and name |
"""

import json
import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import components, local
from kfp.local import docker_task_handler, executor_input_utils, placeholder_utils, subprocess_task_handler
from kfp.local.status import Status

from ropewalk.artifacts import write_json
from ropewalk.errors import ConfigError, RopewalkError
from ropewalk.launch.outcome import find_missing_outputs, read_outputs, read_pages
from ropewalk.launch.output import Chatter, failure_message, failure_tail
from ropewalk.launch.processes import Processes, use_this_interpreter
from ropewalk.launch.runs import LOGS, PIPELINE, log_name
from ropewalk.launch.steps import FINISHED_EVENT, LINE_EVENT, STARTED_EVENT
from ropewalk.launch.work import Call, Place

ARTIFACTS = "artifacts"
FAILURE = "failure.json"
MAX_ARGUMENT_BYTES = 128 * 1024 - 1
"""Linux's limit for one argument of a command (MAX_ARG_STRLEN)."""
MAX_LINE = 500
KEPT_LINES = 2000

Emit = Callable[[dict[str, Any]], None]


def run_compiled(run_folder: Path, arguments: dict[str, Any], emit: Emit, place: Place) -> None:
    """Run `run_folder`/pipeline.yaml to its end in `place`, telling `emit` what happens to each step.

    Raises:
        RuntimeError: From kfp.local, when a step failed.
    """
    warnings.filterwarnings("ignore", message="You may be attemping to run a task that uses custom")
    _replace_functions(run_folder, StepRunner(run_folder, emit, place))
    # A workspace folder that does not exist is neither used nor deleted: kfp.local removes the one it is given.
    local.init(
        runner=local.SubprocessRunner(use_venv=False) if isinstance(place, Processes) else local.DockerRunner(),
        pipeline_root=str(run_folder),
        workspace_root=str(run_folder / "no-workspace"),
    )
    components.load_component_from_file(str(run_folder / PIPELINE))(**arguments)


class StepRunner:
    """Runs the steps of one run."""

    def __init__(self, run_folder: Path, emit: Emit, place: Place) -> None:
        self._run_folder = run_folder
        self._emit = emit
        self._place = place

    def run(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        """Run one step to its end and return 0 when it did all that it declares, else its exit code or 1."""
        executor_input = json.loads(full_command[full_command.index("--executor_input") + 1])
        task = self._task_name(executor_input)
        call = Call(task=task, command=full_command, environment=env_vars or {}, inputs=executor_input)
        started = time.time()
        self._emit({"event": STARTED_EVENT, "task": task, "time": started})
        code, lines, cause = self._stream(call)
        error = self._judge(call, lines, code, cause)
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

    def _stream(self, call: Call) -> tuple[int, list[str], str]:
        """Run a step, copy its output to log and events; return its exit code, own last lines, what killed it."""
        own_lines: deque[str] = deque(maxlen=KEPT_LINES)
        with (self._run_folder / LOGS / log_name(call.task)).open("a", encoding="utf-8") as stream:
            problem = _too_long(call.command)
            try:
                if problem:
                    raise ConfigError(problem)
                with self._place.start(call) as work:
                    chatter = Chatter()
                    for line in work.lines():
                        stream.write(f"{line}\n")
                        stream.flush()
                        if not chatter.covers(line):
                            own_lines.append(line)
                            self._emit({"event": LINE_EVENT, "task": call.task, "text": line[:MAX_LINE]})
                    code, cause = work.end()
                    return code, list(own_lines), cause
            except RopewalkError as error:
                # The step could not be started, or was lost.
                stream.write(f"{error}\n")
                return 1, [*own_lines, str(error)], str(error)

    def _judge(self, call: Call, lines: list[str], code: int, cause: str) -> str:
        """Return why the step failed, "" when it did not, and leave the reason for the exit step to read."""
        failure = self._run_folder / FAILURE
        if code:
            error = cause or failure_message(lines, code)
        else:
            missing = find_missing_outputs(call.inputs)
            error = " ".join(["The step exited with code 0 but did not do its work.", *missing]) if missing else ""
        if error and not failure.exists():
            write_json(
                failure, {"task": call.task, "error": error, "error_tail": failure_tail(lines) if code else error}
            )
        elif not error and failure.exists() and json.loads(failure.read_text(encoding="utf-8"))["task"] == call.task:
            failure.unlink()
        return error


def _too_long(command: list[str]) -> str:
    longest = max(len(part.encode()) for part in command)
    if longest <= MAX_ARGUMENT_BYTES:
        return ""
    return (
        f"The inputs of this step take {longest:,} bytes as JSON; Linux passes at most {MAX_ARGUMENT_BYTES:,} on a "
        "command line. Hand big values over as artifacts."
    )


def _replace_functions(run_folder: Path, steps: StepRunner) -> None:
    replace_placeholders = placeholder_utils.replace_placeholders

    def name_the_run(**values: Any) -> Any:
        return replace_placeholders(
            **{**values, "unique_pipeline_id": run_folder.name, "pipeline_resource_name": run_folder.name}
        )

    def run_in_container(handler: Any) -> Status:
        return Status.FAILURE if steps.run(handler.full_command, handler.env_vars) else Status.SUCCESS

    placeholder_utils.replace_placeholders = name_the_run
    executor_input_utils.get_local_pipeline_resource_name = lambda _pipeline_name: ARTIFACTS
    subprocess_task_handler.run_local_subprocess = steps.run
    subprocess_task_handler.replace_python_executable = use_this_interpreter
    docker_task_handler.DockerTaskHandler.run = run_in_container
