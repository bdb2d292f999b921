"""Outcome: how a run ended, from what KFP says and from what the run's folder holds."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ropewalk.origin import without_credentials
from ropewalk.progress import say

Result = Literal["passed", "failed", "unknown"]

_PASSED = {"SUCCEEDED", "COMPLETE", "COMPLETED", "CACHED", "SUCCESS"}
_FAILED = {"FAILED", "FAILURE", "ERROR", "CANCELED", "CANCELLED", "CANCELLING"}
_NAMED_IN_ERROR = re.compile(r"failed tasks are: \[([^\]]+)\]|Inner task failed: '([^']+)'")
_ERROR_LINES = 40


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the run."""

    task: str
    """Its name in the pipeline."""
    state: str
    """Its state, in the words of whoever ran it."""
    seconds: float | None
    """How long it took; None: not known."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    result: Result
    """ "unknown": KFP does not say; some backends call the pipeline running while its exit handler runs."""
    state: str
    """The state in KFP's words."""
    failed_task: str
    """The step that failed; empty: none, or not known."""
    error: str
    """The last lines of the error, without credentials; empty: none, or not known."""
    steps: tuple[Step, ...]
    """The steps that ran, in order; empty: not known."""
    best: dict[str, Any] = field(default_factory=dict)
    """What a search found: best_parameters, best_value, best_trial; empty: nothing was searched, or not known."""
    told: dict[str, str] = field(default_factory=dict)
    """verdict, model_name, version, repository, commit and hash, as far as the run came, and they are known."""


def find_outcome(*, state: str | None, failed_task: str, error: str | None, run_folder: Path | None) -> Outcome:
    """Return how the run ended.

    Args:
        state: State of the pipeline's tasks as KFP gives it to exit handlers.
        failed_task: The failed step; empty: look for it in the run's folder and in `error`.
        error: KFP's error message.
        run_folder: Folder of a local run, with `failure.json` and `steps.json`; None on a cluster.
    """
    steps = _steps(run_folder)
    result = _result(state or "")
    if result == "passed":
        return Outcome(result=result, state=state or "", failed_task="", error="", steps=steps, **_found(run_folder))
    failure = _read(run_folder, "failure.json", {})
    if failure:
        result = "failed"
    message = str(failure.get("error_tail") or error or "")
    return Outcome(
        result=result,
        state=state or "",
        failed_task=failed_task or str(failure.get("task") or "") or _task_in(message),
        error=tail(message),
        steps=steps,
        **_found(run_folder),
    )


def tail(text: str, lines: int = _ERROR_LINES) -> str:
    """Return the last `lines` lines of `text`, credentials in URLs taken out."""
    return "\n".join(without_credentials(text).strip().splitlines()[-lines:])


def _result(state: str) -> Result:
    if state.upper() in _PASSED:
        return "passed"
    return "failed" if state.upper() in _FAILED else "unknown"


def _task_in(message: str) -> str:
    found = _NAMED_IN_ERROR.search(message)
    return (found[1] or found[2]) if found else ""


def _steps(run_folder: Path | None) -> tuple[Step, ...]:
    return tuple(
        Step(task=str(entry["task"]), state=str(entry["state"]), seconds=entry.get("seconds"))
        for entry in _read(run_folder, "steps.json", [])
    )


def _found(run_folder: Path | None) -> dict[str, dict[str, Any]]:
    """Return what the last search found, and what steps told: the first of each, as data are pulled before pushed."""
    best: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for entry in _read(run_folder, "steps.json", []):
        best = {name: value for name, value in entry.items() if name.startswith("best_")} or best
        told = {name: str(value) for name, value in entry.get("told", {}).items()} | told
    return {"best": best, "told": told}


def _read(run_folder: Path | None, name: str, absent: Any) -> Any:
    if run_folder is None or not (run_folder / name).is_file():
        return absent
    try:
        return json.loads((run_folder / name).read_text(encoding="utf-8"))
    except ValueError as error:
        # The summary is the last thing a failed run does: half of it is better than none.
        say(f"WARNING: {run_folder / name} cannot be read ({error}); the summary does without it.")
        return absent
