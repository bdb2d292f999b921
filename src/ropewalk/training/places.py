"""Training on inputs that are named by where they are, to a model that is stored where it is asked for."""

import os
import re
import tempfile
from pathlib import Path

from ropewalk.artifacts import MODEL, PREPROCESSOR, SPLIT, Manifest
from ropewalk.metric_lines import report_to_tuner
from ropewalk.remote_artifacts import fetch_artifact, local_path, store_artifact
from ropewalk.training.config import TrainingConfig

_REFERENCE = re.compile(r"(.*?)(?:#([0-9a-f]{64}))?", re.DOTALL)


def train_at(
    train: str,
    *,
    validation: str,
    preprocessor: str,
    model: str,
    curves: Path | None = None,
    epochs: int = 0,
    seed: int = 0,
    config: TrainingConfig = TrainingConfig(),
) -> Manifest:
    """Fetch the inputs, train, and have the first process of all store the model; returns its manifest.

    Args:
        train: Path or URI of the split to learn from; "#" and an artifact's digest behind it has any other refused.
        validation: The split that chooses the best epoch, named in the same way.
        preprocessor: The preprocessor, named in the same way.
        model: Path or URI under which the model is stored.
        curves: As for `train.train`.
        epochs: As for `train.train`.
        seed: As for `train.train`.
        config: As for `train.train`.

    Raises:
        ArtifactError: An input is missing or altered, or has another digest.
        ServiceError, SourceError: A storage does not answer, or does not let us in.
    """
    paths = [_fetch(uri, kind) for uri, kind in ((train, SPLIT), (validation, SPLIT), (preprocessor, PREPROCESSOR))]
    from ropewalk.training.train import train as train_here

    first = os.environ.get("RANK", "0") == "0"
    with tempfile.TemporaryDirectory(prefix="ropewalk-model-") as scratch:
        mounted = local_path(model) if first else None
        manifest = train_here(
            paths[0],
            validation=paths[1],
            preprocessor=paths[2],
            model=mounted or Path(scratch) / "model",
            curves=curves,
            epochs=epochs,
            seed=seed,
            config=config,
        )
        if first and mounted is None:
            store_artifact(Path(scratch) / "model", model, MODEL)
    if first:
        # Last of all: by its latest report a trial is compared, and this is the value of the model that is kept.
        report_to_tuner(manifest.facts)
    return manifest


def _fetch(reference: str, kind: str) -> Path:
    uri, digest = _REFERENCE.fullmatch(reference).groups(default="")  # type: ignore[union-attr]  # it matches any text
    path = local_path(uri)
    # Training checks every byte of what it reads; only the digest it does not know.
    return path if path is not None and not digest else fetch_artifact(uri, kind, digest=digest)
