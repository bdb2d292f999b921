"""Runs a pipeline from a notebook or script: `run_pipeline(training, data="my.csv", target="churn")`."""

import json
from types import TracebackType
from typing import Any

from rich.console import Console

from ropewalk.errors import RunError
from ropewalk.home import ropewalk_home
from ropewalk.launch.local import run_local
from ropewalk.launch.parameters import parse_parameters
from ropewalk.launch.preflight import check_before_start
from ropewalk.launch.request import Request, open_request
from ropewalk.launch.runs import LOGS, SUCCEEDED, Run
from ropewalk.launch.specification import read_specification
from ropewalk.launch.steps import FINISHED_EVENT, Step, Steps


class StepLines:
    """One line for each step that has finished: a cell's output is read afterwards, not watched."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> "StepLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left open."""

    def show(self, steps: Steps, step: Step, event: str) -> None:
        """Print `step` when it has finished."""
        if event == FINISHED_EVENT:
            self._console.out(f"{step.elapsed:6.1f} s  {step.task}: {step.state}", highlight=False)


def run_pipeline(pipeline: Any, **parameters: Any) -> Run:
    """Run `pipeline` on this machine, to its end, and return the run: `.metrics`, `.report`, `.model`, `.steps`.

    Args:
        pipeline: A pipeline's function, such as `ropewalk.pipelines.training` or one of your own; or the name of one of
            Ropewalk's; or the path of a compiled .yaml file.
        **parameters: The pipeline's own; its defaults hold for the rest.

    Raises:
        ConfigError: There is no such pipeline, or a parameter or setting is wrong; nothing was started.
        RunError: A step failed, or the run was interrupted; says where the log is.
        StorageError: The disk is full or read-only.
    """
    request = _open(pipeline)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    arguments = parse_parameters(texts, request.specification)
    check_before_start(request.specification, arguments)
    # As plain text: Rich would make a display of its own of each line.
    with StepLines(Console(force_jupyter=False)) as progress:
        run = run_local(request.text, request.specification, arguments, home=ropewalk_home(), progress=progress)
    if run.state != SUCCEEDED:
        raise RunError(f"The run {run.id} {run.state}: {run.error} Logs: {run.folder / LOGS}.")
    return run


def _open(pipeline: Any) -> Request:
    if not hasattr(pipeline, "pipeline_spec"):
        return open_request(str(pipeline))
    from ropewalk.launch import catalog

    text = catalog.to_yaml(pipeline)
    return Request(text=text, specification=read_specification(text, source=pipeline.name))
