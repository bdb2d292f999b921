"""Where training happens: in this process or, when a cluster's settings are given, in a Kubeflow TrainJob."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk import images
from ropewalk.artifacts import MODEL, PREPROCESSOR, SPLIT, Manifest, read_artifact
from ropewalk.config import parse_config
from ropewalk.progress import say
from ropewalk.training.allocation import keep_freed_memory
from ropewalk.training.config import TrainingConfig
from ropewalk.training.threads import let_waiting_threads_sleep


@dataclass(frozen=True)
class Location:
    """An artifact of a pipeline step."""

    path: str
    """In this pod."""
    uri: str
    """In the pipeline's storage, where other pods reach it, too."""


def train_by_profile(
    train: Location,
    *,
    validation: Location,
    preprocessor: Location,
    model: Location,
    curves: Path,
    epochs: int,
    seed: int,
    config: Mapping[str, Any],
    cluster: Mapping[str, Any],
    step: Mapping[str, Any] | None = None,
) -> Manifest:
    """Train here when `cluster` is empty, else in a TrainJob; the model is at `model.path` either way.

    Args:
        train: Split to learn from.
        validation: Split that chooses the best epoch.
        preprocessor: Preprocessor artifact, learned from the same training split.
        model: Where the model goes. The job is named after its URI: that holds run and task, and stays in a retry.
        curves: Where to write the page of training curves.
        epochs: As for `ropewalk.training.train.train`.
        seed: As for `ropewalk.training.train.train`.
        config: Fields of TrainingConfig.
        cluster: Fields of TrainJobConfig.
        step: What was set on the pipeline step itself; see `plan_trainjob`.

    Raises:
        ConfigError: A setting is wrong; nothing was started.
        ClusterError: The cluster refused, or the job failed there.
        ServiceError: The cluster does not answer.
    """
    settings = parse_config(TrainingConfig, config, section="training")
    if not cluster:
        let_waiting_threads_sleep()
        keep_freed_memory()
        from ropewalk.training.train import train as train_network

        return train_network(
            Path(train.path),
            validation=Path(validation.path),
            preprocessor=Path(preprocessor.path),
            model=Path(model.path),
            curves=curves,
            epochs=epochs,
            seed=seed,
            config=settings,
        )
    arguments = {
        "train": _reference(train, SPLIT),
        "validation": _reference(validation, SPLIT),
        "preprocessor": _reference(preprocessor, PREPROCESSOR),
        "model": model.uri,
        "epochs": str(epochs),
        "seed": str(seed),
        "settings": json.dumps(config, sort_keys=True),
    }
    manifest = _train_in_job(arguments, model, cluster, step or {})
    _draw_curves(Path(model.path), manifest, curves)
    return manifest


def _train_in_job(
    arguments: Mapping[str, str], model: Location, settings: Mapping[str, Any], step: Mapping[str, Any]
) -> Manifest:
    from ropewalk.cluster.connect import connect
    from ropewalk.cluster.trainjob import TrainJobConfig, plan_trainjob
    from ropewalk.cluster.trainjob_run import trained

    config = parse_config(TrainJobConfig, settings, section="cluster")
    plan = plan_trainjob(
        "ropewalk.training.remote",
        [part for name, value in arguments.items() for part in (f"--{name}", value)],
        identity=model.uri,
        prefix="train",
        image=images.STEPS,
        config=config,
        step=step,
    )
    with trained(connect(namespace=config.namespace), plan, config=config):
        return _receive(model)


def _receive(model: Location) -> Manifest:
    """Bring the model that the job stored to this pod."""
    from ropewalk.remote_artifacts import download_artifact

    # KFP uploads what is at the path, to the very URI that the model comes from.
    manifest = download_artifact(model.uri, Path(model.path), MODEL)
    say(f"The model has come: {manifest.digest[:12]}, {len(manifest.files)} files")
    return manifest


def _draw_curves(model: Path, manifest: Manifest, curves: Path) -> None:
    """Write the page of curves here: the model has their points, so that the job need not store a page."""
    from ropewalk.training.keep_curves import write_curves

    history = json.loads((model / "history.json").read_text(encoding="utf-8"))
    write_curves(curves, history, target=manifest.facts["target"], task=manifest.facts["task"])


def _reference(artifact: Location, kind: str) -> str:
    """Return the artifact's URI and digest, by which the job's pods know that they have the same bytes."""
    return f"{artifact.uri}#{read_artifact(Path(artifact.path), kind).digest}"
