"""The page that tells how a run ended."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from ropewalk.origin import as_text, pipeline_facts, without_secrets
from ropewalk.report.blocks import Cell, Fact, Facts, Pre, Section, Table, Text, Tone
from ropewalk.report.format import duration, number, short
from ropewalk.report.page import render_page
from ropewalk.summary.outcome import Outcome, Step

_STEP_TONES: dict[str, Tone] = {"succeeded": "good", "cached": "good", "failed": "bad", "skipped": "neutral"}
_LABELS: dict[str, tuple[Tone, str]] = {
    "passed": ("good", "Passed"),
    "failed": ("bad", "Failed"),
    "unknown": ("warn", "Ended"),
}


def summary_page(
    outcome: Outcome,
    *,
    pipeline: str,
    run_id: str,
    run_name: str,
    parameters: Mapping[str, str],
    run_folder: Path | None,
) -> str:
    """Return the run's summary as HTML."""
    tone, label = _LABELS[outcome.result]
    facts = [Fact("Failed step", outcome.failed_task)] if outcome.failed_task else []
    # The step that writes this page is still running.
    ended = tuple(step for step in outcome.steps if step.seconds is not None)
    if ended:
        facts.append(Fact("Steps ended", str(len(ended))))
        facts.append(Fact("Time in steps", duration(sum(step.seconds or 0 for step in ended))))
    sections = [
        *_error(outcome),
        *_best(outcome),
        *_lineage(outcome),
        *_steps(ended),
        *_parameters(parameters or pipeline_facts().get("parameters", {})),
        Section("Look further", [Pre(text, caption=caption) for caption, text in _advice(outcome, run_id, run_folder)]),
    ]
    return render_page(
        title=f"Run summary: {pipeline}",
        subtitle=run_id if run_name in ("", run_id) else f"{run_name} · {run_id}",
        status=(tone, label, headline(outcome)),
        headline=facts,
        sections=sections,
    )


def headline(outcome: Outcome) -> str:
    """Return one sentence on how the run ended."""
    if outcome.result == "passed":
        return "Every step ended well."
    if outcome.failed_task:
        last = outcome.error.splitlines()[-1].strip() if outcome.error else ""
        return f"The step {outcome.failed_task} failed{': ' + last if last else '.'}"
    if outcome.result == "failed":
        return "A step failed; KFP does not say which one."
    return f"KFP gives the state {outcome.state or 'nothing'!r}: look at the run's page for how it ended."


def shown_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return parameters as text that may be shown: no credentials, nothing under a name that tells of a secret."""
    return {name: as_text(without_secrets(value, name)) for name, value in parameters.items()}


def _error(outcome: Outcome) -> list[Section]:
    if outcome.result == "passed":
        return []
    blocks = [Pre(outcome.error)] if outcome.error else [Text("KFP passes no error text on; the step's log has it.")]
    return [Section("Error", blocks, note="The last lines that the failed step wrote." if outcome.error else "")]


def _best(outcome: Outcome) -> list[Section]:
    parameters = outcome.best.get("best_parameters")
    if not isinstance(parameters, dict):
        return []
    facts = [
        Fact(name, number(value) if isinstance(value, float) else str(value), title=repr(value))
        for name, value in parameters.items()
    ]
    trial = outcome.best.get("best_trial")
    return [Section("Best parameters", [Facts(facts)], note=f"Those of {trial}." if trial else "")]


def _lineage(outcome: Outcome) -> list[Section]:
    """Return what was registered and what it was made of; nothing when the run did not come so far."""
    told, pipeline = outcome.told, pipeline_facts()
    if "version" not in told:
        return []
    labels = {"commit": "Commit of the data", "hash": "Data hash"}
    facts = [
        Fact("Registered", f"{told['model_name']} version {told['version']}", detail=told.get("verdict", "")),
        *([Fact("Repository", told["repository"])] if "repository" in told else []),
        *(Fact(label, short(told[name]), title=told[name]) for name, label in labels.items() if name in told),
        *([Fact("Pipeline", short(pipeline["sha256"]), title=pipeline["sha256"])] if "sha256" in pipeline else []),
    ]
    return [Section("Model and lineage", [Facts(facts)], note="Digests are shortened; point at one to see all of it.")]


def _steps(steps: tuple[Step, ...]) -> list[Section]:
    if not steps:
        return []
    rows = [
        [
            step.task,
            Cell(step.state, tone=_STEP_TONES.get(step.state.lower(), "neutral")),
            None if step.seconds is None else duration(step.seconds),
        ]
        for step in steps
    ]
    return [Section("Steps", [Table(["Step", "State", "Time"], rows, numeric=(2,))])]


def _parameters(parameters: Mapping[str, str]) -> list[Section]:
    if not parameters:
        return []
    facts = [Fact(name, text or "(empty)") for name, text in shown_parameters(parameters).items()]
    return [Section("Parameters", [Facts(facts)])]


def _advice(outcome: Outcome, run_id: str, run_folder: Path | None) -> list[tuple[str, str]]:
    """Return (what for, command) pairs."""
    if run_folder is not None:
        log = f"{outcome.failed_task}.log" if outcome.failed_task else ""
        advice = [("Logs of this run", str(run_folder / "logs" / log)), ("Everything it wrote", str(run_folder))]
        if "version" in outcome.told:
            name = shlex.quote(f"{outcome.told['model_name']}/{outcome.told['version']}")
            advice.append(("Where the model came from", f"ropewalk explain {name}"))
        return advice
    pods = f"kubectl get pods -l pipeline/runid={run_id}"
    logs = f"kubectl logs -l pipeline/runid={run_id} --container main --prefix --tail 100"
    advice = [("The run's pods", pods), ("Their last log lines", logs)]
    if outcome.result == "failed":
        advice.append(("Go on after the last good step", "KFP's web page of the run: the button Retry"))
    return advice
