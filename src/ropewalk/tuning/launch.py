"""Tuning as a step of a pipeline: trials get the step's inputs, and the best one's model becomes its output."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ropewalk.artifacts import MODEL, Manifest, read_artifact
from ropewalk.config import parse_config
from ropewalk.errors import ArtifactError, RopewalkError
from ropewalk.progress import say
from ropewalk.remote_artifacts import download_artifact
from ropewalk.training.launch import Location
from ropewalk.tuning.engine import Snapshot
from ropewalk.tuning.engines import choose_engine
from ropewalk.tuning.following import follow
from ropewalk.tuning.outputs import Tuned, metrics_of, write_trials
from ropewalk.tuning.profile import KATIB, TuneProfile
from ropewalk.tuning.results import result_of, write_tables
from ropewalk.tuning.training_trials import read_request
from ropewalk.tuning.work import KINDS, Inputs, Work, work_here, work_on_cluster


def tune_by_profile(
    train: Location,
    validation: Location,
    preprocessor: Location,
    model: Location,
    trials: Location,
    report: Location,
    *,
    search: Mapping[str, Any],
    max_trials: int,
    epochs: int,
    seed: int,
    engine: str,
    training: Mapping[str, Any],
    config: Mapping[str, Any],
    cluster: Mapping[str, Any],
    step: Mapping[str, Any] | None = None,
) -> Tuned:
    """Search for good settings of a training; run again after a kill, no finished trial is repeated.

    Args:
        train: Split to learn from.
        validation: Split that chooses the best epoch and the best trial.
        preprocessor: Preprocessor artifact, learned from the same training split.
        model: Where the best trial's model goes. The experiment is named after its URI: that holds run and task, and
            stays in a retry.
        trials: Where the table of trials goes.
        report: Where to write the page.
        search: As for `read_search`.
        max_trials: Trials in all; 0: 12.
        epochs: As for training.
        seed: Seed of suggestions, initial weights, shuffling and dropout.
        engine: "auto", "local" or "katib"; "auto" is the profile's.
        training: Fields of TrainingConfig that are the same in every trial.
        config: Fields of TuningConfig.
        cluster: Fields of TuneProfile.
        step: What was set on the pipeline step itself; see `TuneProfile`.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
        RunError: No trial gave a finite value, or as many failed as must not; the table is written then too.
        ClusterError: The cluster refused.
        ServiceError: The cluster does not answer.
        ArtifactError: The best trial left no model.
    """
    request = read_request(search, max_trials=max_trials, epochs=epochs, seed=seed, training=training, config=config)
    given = {} if engine == "auto" else {"engine": engine}
    profile = parse_config(TuneProfile, {**cluster, **given}, section="tune")
    inputs = {"train": train, "validation": validation, "preprocessor": preprocessor}
    manifests = {name: read_artifact(Path(inputs[name].path), kind) for name, kind in KINDS.items()}
    choice = choose_engine(profile.engine, namespace=profile.katib.namespace)
    say(f"engine {choice.engine}: {choice.why}")
    given_to_trials = Inputs(
        locations=inputs,
        digests={name: manifest.digest for name, manifest in manifests.items()},
        task=str(manifests["preprocessor"].facts["task"]),
        output=trials,
        identity=model.uri,
    )
    if choice.engine == KATIB:
        work = work_on_cluster(request, given_to_trials, profile, step or {})
    else:
        work = work_here(request, given_to_trials)
    snapshot = follow(work.engine, work.experiment, say=say)
    try:
        tuned = _take(work, snapshot, list(manifests.values()), model=model, trials=trials, report=report)
    except RopewalkError:
        work.close(succeeded=False)
        raise
    if not request.config.keep_models:
        work.remove_models(snapshot, kept=tuned.result.best_trial)
    work.close(succeeded=True)
    return tuned


def _take(
    work: Work, snapshot: Snapshot, made_from: list[Manifest], *, model: Location, trials: Location, report: Location
) -> Tuned:
    """Write the step's outputs; the tables also where they can be looked at when the search has failed."""
    write_tables(work.experiment, snapshot, work.folder)
    result = result_of(work.experiment, snapshot)
    kept = _receive(work.places.model(result.best_trial), result.best_trial, Path(model.path))
    table = write_trials(
        Path(trials.path),
        work.experiment,
        snapshot,
        result,
        engine=work.engine.name,
        model=kept,
        made_from=made_from,
    )

    from ropewalk.report.page import write_page
    from ropewalk.tuning.page import tuning_page

    write_page(Path(report.path), tuning_page(work.experiment, snapshot, result))
    say(f"The model of {result.best_trial} is kept: {kept.digest[:12]}")
    return Tuned(model=kept, trials=table, result=result, metrics=metrics_of(result, work.experiment.objective))


def _receive(uri: str, trial: str, model: Path) -> Manifest:
    """Bring the best trial's model, every byte of it checked, to the step's output."""
    try:
        return download_artifact(uri, model, MODEL)
    except ArtifactError as error:
        raise ArtifactError(
            f"{trial} is best, but left no whole model at {uri}. A trial writes its model to "
            f"$ROPEWALK_MODELS/$KATIB_TRIAL_NAME, as `python -m ropewalk.training --model` does. {error}"
        ) from error
