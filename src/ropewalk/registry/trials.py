"""The trials of a search as MLflow runs inside the pipeline's run: each once, however often they are recorded."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.artifacts import TRIALS, Manifest, read_artifact
from ropewalk.errors import ArtifactError
from ropewalk.progress import say
from ropewalk.tracking import TrackedRun

if TYPE_CHECKING:
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"
TRIAL_TAG = "ropewalk.trial"
PIPELINE_RUN_TAG = "ropewalk.pipeline_run_id"
"""Tag of a trial's run: the pipeline run, by another name than RUN_ID_TAG, which finds the one run that is above it."""

_STATUS = {"succeeded": "FINISHED", "failed": "FAILED"}


@dataclass(frozen=True, kw_only=True)
class Trials:
    """The trials of a search, read and checked."""

    manifest: Manifest
    """Of the artifact; its facts name engine, experiment, objective and the best trial."""
    entries: list[dict[str, Any]]
    """Per trial: number, name, state, parameters, metrics, started, seconds, message."""
    table: str
    """All of them as CSV."""

    def tags(self) -> dict[str, str]:
        """Return what the pipeline's run says of the search."""
        names = ("engine", "experiment", "algorithm", "objective", "direction", "best_trial", "best_value")
        found = {f"ropewalk.tuning.{name}": str(self.manifest.facts[name]) for name in names}
        return {**found, "ropewalk.tuning.digest": self.manifest.digest}


def read_trials(folder: Path, model: Manifest) -> Trials:
    """Return the trials in the artifact at `folder`, of which `model` is the best one's.

    Raises:
        ArtifactError: It is damaged, or the model is none of its trials'.
    """
    manifest = read_artifact(folder, TRIALS)
    if manifest.facts["model_digest"] != model.digest:
        raise ArtifactError(
            f"{folder} has the trials of another model (digest {manifest.facts['model_digest'][:12]}) than the one to "
            f"register ({model.digest[:12]}). Connect the model and the trials of the same step."
        )
    entries = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    return Trials(manifest=manifest, entries=entries, table=(folder / "trials.csv").read_text(encoding="utf-8"))


def log_trials(parent: TrackedRun, trials: Trials, *, run_id: str) -> dict[str, str]:
    """Record each trial in a run of its own below `parent`; return MLflow's run id by the trial's name.

    Args:
        parent: The pipeline's run.
        trials: What to record.
        run_id: Id of the pipeline run.
    """
    known = _known(parent)
    for entry in trials.entries:
        if entry["started"] is None:
            continue
        run = known.get(entry["name"]) or _create(parent, trials, entry, run_id=run_id)
        known[entry["name"]] = run
        if run.info.status == "RUNNING":
            _record(parent, run, trials, entry)
    say(f"Recorded {len(known)} trials below the run.")
    return {name: str(run.info.run_id) for name, run in known.items()}


def _known(parent: TrackedRun) -> dict[str, Run]:
    wanted = f"tags.`{PARENT_TAG}` = '{parent.id}'"
    found: dict[str, Run] = {}
    token = None
    while True:
        page = parent.client.search_runs([parent.experiment_id], wanted, page_token=token)
        found |= {run.data.tags[TRIAL_TAG]: run for run in page if TRIAL_TAG in run.data.tags}
        token = page.token
        if not token:
            return found


def _create(parent: TrackedRun, trials: Trials, entry: dict[str, Any], *, run_id: str) -> Run:
    facts = trials.manifest.facts
    tags = {
        PARENT_TAG: parent.id,
        TRIAL_TAG: entry["name"],
        PIPELINE_RUN_TAG: run_id,
        "ropewalk.trial_number": str(entry["number"]),
        "ropewalk.trial_state": entry["state"],
        "ropewalk.tuning.experiment": facts["experiment"],
        "ropewalk.tuning.engine": facts["engine"],
        "ropewalk.tuning.best": str(entry["name"] == facts["best_trial"]).lower(),
    }
    started = int(entry["started"] * 1000)
    return parent.client.create_run(parent.experiment_id, start_time=started, tags=tags, run_name=entry["name"])


def _record(parent: TrackedRun, run: Run, trials: Trials, entry: dict[str, Any]) -> None:
    """Fill a run and end it: one that has ended is whole."""
    child = replace(parent, id=run.info.run_id, start_time=run.info.start_time)
    message = {"ropewalk.trial_message": entry["message"]} if entry["message"] else {}
    child.log(params=entry["parameters"], metrics=entry["metrics"], tags=message)
    end = run.info.start_time + int((entry["seconds"] or 0.0) * 1000)
    parent.client.set_terminated(child.id, _STATUS.get(entry["state"], "KILLED"), end)
