"""Register: one MLflow run and one version of a registered model, however often a step is tried.

MLflow is imported by `tracking.connect`, after its settings; so no module here imports it at the top.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk import tracking
from ropewalk.artifacts import EVALUATION, MODEL, Manifest, disk_errors, read_artifact
from ropewalk.errors import ArtifactError, ConfigError, TrackingError
from ropewalk.home import ropewalk_home
from ropewalk.progress import say
from ropewalk.quick_exit import skip_last_collection
from ropewalk.registry import aliases, lineage, versions
from ropewalk.registry.aliases import turn_at
from ropewalk.registry.description import ModelDescription, describe
from ropewalk.registry.names import check_model_name
from ropewalk.registry.storage import store_errors
from ropewalk.registry.trials import Trials, log_trials, read_trials
from ropewalk.registry.upload import remove_drafts, upload
from ropewalk.tracking import RUN_ID_TAG, TrackedRun, exclusive, pipeline_run

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True, kw_only=True)
class Registered:
    """Where a model now stands."""

    name: str
    """Name of the registered model."""
    version: str
    """Its version, a whole number."""
    alias: str
    """"champion", "challenger", or "" when a later version is the challenger."""
    note: str
    """Why it is not the champion although it was found good enough; else empty."""
    model_uri: str
    """What to load: models:/<name>/<version>."""
    mlflow_run_id: str
    """The MLflow run with parameters, metrics and reports."""
    tracking_uri: str
    """The MLflow server or store that holds both."""


def register(
    model: Path,
    evaluation: Path,
    report: Path,
    *,
    name: str = "model",
    run_id: str = "",
    run_name: str = "",
    tracking_uri: str = "",
    trials: str = "",
) -> Registered:
    """Record the model's run in MLflow and register the model as a new version; the same run again changes nothing.

    Args:
        model: Folder of the model artifact.
        evaluation: Folder of the evaluation artifact of that model.
        report: The evaluation's HTML page.
        name: Name of the registered model: letters, digits, spaces, '.', '_' and '-'.
        run_id: Id of the pipeline run; empty: the model's digest, so that the same model is registered once.
        run_name: Name of the run for people; empty: its id.
        tracking_uri: MLflow server or sqlite store; empty: $MLFLOW_TRACKING_URI, else the embedded store.
        trials: Folder of the artifact with the trials of which the model is the best; empty: it was not searched for.

    Raises:
        ConfigError: The name or the URI cannot be used.
        ArtifactError: An artifact is damaged, or the evaluation is that of another model.
        TrackingError: MLflow refused.
        ServiceError: MLflow cannot be reached.
    """
    skip_last_collection()
    name = check_model_name(name)
    uri = tracking.tracking_uri(tracking_uri)
    subject = _read(model, evaluation, report)
    searched = read_trials(Path(trials), subject.model) if trials else None
    run_id = run_id or f"model-{subject.model.digest[:16]}"
    run_name = run_name or run_id
    promoted, champion = subject.decision["verdict"] == "promote", _compared_with(subject.decision)
    say(f"Recording the run {run_name!r} in MLflow at {uri}.")
    with disk_errors(ropewalk_home()), pipeline_run(uri, run_id=run_id, run_name=run_name) as run:
        tags = lineage.tags(subject.model, subject.evaluation, subject.decision, run_id=run_id, run_name=run_name)
        # With sqlite all of it is one turn; with a server only what is short, so that no upload waits for another.
        with exclusive(uri):
            known = versions.find_version(run.client, name, run_id=run_id, digest=subject.model.digest)
            if known:
                _log(run, subject, tags, searched)
                uploaded = None
            else:
                uploaded = upload(
                    run,
                    subject.trained,
                    model,
                    name=name,
                    tags=tags,
                    meanwhile=lambda: _log(run, subject, tags, searched),
                )
            with turn_at(run.client, uri, name):
                version = _version(run, subject, uploaded, name=name, tags=tags)
                number = str(version.version)
                standing = aliases.settle(run.client, name, number, promote=promoted, expected=champion)
            remove_drafts(run, version, tags)
    say(f"Registered version {number} of {name!r}{f' as {standing.alias}' if standing.alias else ''}.")
    if standing.note:
        say(f"It is not the champion: {standing.note}")
    if uri.startswith("sqlite:"):
        say(f"To look at it: mlflow ui --backend-store-uri {uri}")
    return Registered(
        name=name,
        version=number,
        alias=standing.alias,
        note=standing.note,
        model_uri=f"models:/{name}/{number}",
        mlflow_run_id=run.id,
        tracking_uri=uri,
    )


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is being registered, read and checked."""

    trained: ModelDescription
    model: Manifest
    evaluation: Manifest
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    decision: dict[str, Any]
    pages: dict[str, str]
    """Text per name of the run's artifacts."""


def _read(model: Path, evaluation: Path, report: Path) -> _Subject:
    judged = read_artifact(evaluation, EVALUATION)
    trained = describe(model)
    digest = trained.manifest.digest
    if not any(source["kind"] == MODEL and source["digest"] == digest for source in judged.made_from):
        raise ArtifactError(
            f"{evaluation} evaluates another model than {model} (digest {digest[:12]}). Connect the model and the "
            "evaluation of the same run."
        )
    if not report.is_file():
        raise ConfigError(f"report={report}: there is no such file. Give the HTML page that the evaluation wrote.")
    return _Subject(
        trained=trained,
        model=trained.manifest,
        evaluation=judged,
        metrics=_json(evaluation / "metrics.json"),
        baselines=_json(evaluation / "baselines.json"),
        decision=_json(evaluation / "decision.json"),
        pages={
            "report.html": report.read_text(encoding="utf-8"),
            **{name: (evaluation / name).read_text(encoding="utf-8") for name in ("decision.json", "metrics.json")},
        },
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _log(run: TrackedRun, subject: _Subject, tags: dict[str, str], searched: Trials | None) -> None:
    run.log(
        params=lineage.parameters(subject.model, subject.trained.settings),
        metrics=lineage.test_metrics(subject.metrics, subject.baselines),
        steps=lineage.training_steps(subject.trained.history),
        tags=tags,
    )
    # Together: each call by itself looks the run up again.
    with tempfile.TemporaryDirectory(prefix="ropewalk-") as folder, store_errors(run.uri, "the reports"):
        for page, text in subject.pages.items():
            Path(folder, page).write_text(text, encoding="utf-8")
        run.client.log_artifacts(run.id, folder)
    if searched:
        _log_search(run, searched, run_id=tags[RUN_ID_TAG])


def _log_search(run: TrackedRun, searched: Trials, *, run_id: str) -> None:
    run.log(tags=searched.tags())
    runs = log_trials(run, searched, run_id=run_id)
    run.client.log_text(run.id, searched.table, "trials.csv")
    run.client.log_dict(run.id, runs, "trial_runs.json")


def _compared_with(decision: Mapping[str, Any]) -> str:
    """Return the version of the champion that the decision was made against; empty: there was none."""
    return str((decision.get("champion") or {}).get("version", ""))


def _version(
    run: TrackedRun, subject: _Subject, uploaded: LoggedModel | None, *, name: str, tags: dict[str, str]
) -> ModelVersion:
    found = versions.find_version(run.client, name, run_id=tags[RUN_ID_TAG], digest=subject.model.digest)
    if found:
        return found
    if uploaded is None:
        raise TrackingError(f"The version of {name!r} that this run had registered has just been deleted. Run again.")
    about = lineage.description(subject.model, subject.metrics, subject.decision, run_name=tags["ropewalk.run_name"])
    return versions.create_version(
        run.client,
        name,
        model=uploaded,
        mlflow_run_id=run.id,
        run_id=tags[RUN_ID_TAG],
        tags=tags,
        description=about,
    )
