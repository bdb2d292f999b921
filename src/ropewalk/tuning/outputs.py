"""The trials of a search as an artifact: a table for people, and the same facts for the steps that come later."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ropewalk.artifacts import TRIALS, Manifest, write_artifact, write_json
from ropewalk.tuning.engine import Snapshot, Trial
from ropewalk.tuning.results import RESULT, Result, write_tables
from ropewalk.tuning.spec import Experiment, Objective

TRIALS_JSON, EXPERIMENT_JSON = "trials.json", "experiment.json"


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a search gave."""

    model: Manifest
    """Of the best trial's model."""
    trials: Manifest
    """Of the table of all trials."""
    result: Result
    """The best trial, and how many there are of each state."""
    metrics: dict[str, float]
    """Numbers for KFP's page."""


def write_trials(
    folder: Path,
    experiment: Experiment,
    snapshot: Snapshot,
    result: Result,
    *,
    engine: str,
    model: Manifest,
    made_from: Sequence[Manifest],
) -> Manifest:
    """Write the artifact at `folder`: trials.csv, trials.parquet, trials.json, result.json and experiment.json.

    Args:
        folder: Where to.
        experiment: What was run.
        snapshot: How it ended.
        result: What is best.
        engine: Name of the engine that ran it.
        model: The best trial's model.
        made_from: Manifests of the splits and the preprocessor.

    Raises:
        StorageError: The disk refused.
    """
    objective = experiment.objective
    with write_artifact(folder, TRIALS, made_from) as draft:
        write_tables(experiment, snapshot, draft.folder)
        write_json(draft.folder / TRIALS_JSON, [_plain(trial, objective) for trial in snapshot.trials])
        write_json(draft.folder / EXPERIMENT_JSON, asdict(experiment))
        write_json(draft.folder / RESULT, {**vars(result), "engine": engine, "model_digest": model.digest})
        draft.facts.update(
            engine=engine,
            experiment=experiment.name,
            algorithm=experiment.algorithm.name,
            objective=objective.metric,
            direction=objective.type,
            rows=len(snapshot.trials),
            best_trial=result.best_trial,
            best_value=result.best_value,
            best_parameters=dict(result.best_parameters),
            model_digest=model.digest,
        )
    return draft.manifest


def metrics_of(result: Result, objective: Objective) -> dict[str, float]:
    """Return the numbers that KFP shows of a search."""
    states = {f"trials_{state}": float(count) for state, count in result.trials.items()}
    named = f"best_{objective.metric}"
    return {named: result.best_value, "trials": float(sum(result.trials.values())), **states}


def _plain(trial: Trial, objective: Objective) -> Mapping[str, Any]:
    values = {
        name: value
        for name, found in trial.observations.items()
        if (value := found.value(objective.strategy(name))) is not None
    }
    return {
        "number": trial.number,
        "name": trial.name,
        "state": trial.state,
        "parameters": trial.values,
        "metrics": values,
        "started": trial.started,
        "seconds": trial.seconds,
        "message": trial.message,
    }
