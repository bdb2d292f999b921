"""Summarize a run: a page for people, and a notification when a webhook is set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ropewalk.progress import say
from ropewalk.report.page import write_page
from ropewalk.summary.outcome import Result, find_outcome
from ropewalk.summary.page import headline, shown_parameters, summary_page
from ropewalk.summary.webhook import notify


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What the summary says."""

    result: Result
    """ "passed", "failed", or "unknown" when KFP does not say."""
    failed_task: str
    """The step that failed; empty: none, or not known."""
    text: str
    """The outcome in a sentence."""
    notified: bool
    """Whether the webhook took the notification; false when none is set."""
    parameters: dict[str, str] = field(default_factory=dict)
    """The run's parameters as shown: without secrets."""


def summarize(
    *,
    pipeline: str,
    run_id: str,
    state: str | None,
    output: Path,
    run_name: str = "",
    failed_task: str = "",
    error: str | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Summary:
    """Write the run's summary page to `output`, tell the webhook in $ROPEWALK_WEBHOOK_URL, and return what was said.

    A local run's folder, $ROPEWALK_RUN_DIR, adds the failed step, its last lines and the times of the steps.

    Args:
        pipeline: Name of the pipeline.
        run_id: Id of the run.
        state: Final state as KFP gives it: SUCCEEDED, FAILED, ...
        output: HTML file to write.
        run_name: Name of the run for people.
        failed_task: The step that failed; empty: find it.
        error: Error message as KFP gives it.
        parameters: The run's parameters; other values than text are shown as text.

    Raises:
        StorageError: The disk is full.
    """
    folder = os.environ.get("ROPEWALK_RUN_DIR", "")
    run_folder = Path(folder) if folder else None
    outcome = find_outcome(state=state, failed_task=failed_task, error=error, run_folder=run_folder)
    text = f"{pipeline}: {outcome.result}. {headline(outcome)}"
    say(text)
    html = summary_page(
        outcome,
        pipeline=pipeline,
        run_id=run_id,
        run_name=run_name,
        parameters=parameters or {},
        run_folder=run_folder,
    )
    write_page(output, html)
    shown = shown_parameters(parameters or {})
    notified = notify(
        {
            "text": f"{text} (run {run_name or run_id})",
            "pipeline": pipeline,
            "run_id": run_id,
            "run_name": run_name,
            "result": outcome.result,
            "state": outcome.state,
            "failed_step": outcome.failed_task,
            "error": outcome.error,
            "parameters": shown,
        }
    )
    return Summary(
        result=outcome.result, failed_task=outcome.failed_task, text=text, notified=notified, parameters=shown
    )
