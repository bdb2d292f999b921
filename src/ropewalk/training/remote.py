"""Training in the pods of a cluster job: inputs and the model are URIs, and every process runs this.

torchrun --nproc-per-node 2 -m ropewalk.training.remote --train s3://bucket/train ...
"""

import json
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from ropewalk.artifacts import MODEL, PREPROCESSOR, SPLIT
from ropewalk.commandline import run_command
from ropewalk.config import parse_config
from ropewalk.errors import ConfigError
from ropewalk.remote_artifacts import fetch_artifact, fsspec_uri, local_path, store_artifact
from ropewalk.training.config import TrainingConfig

_REFERENCE = re.compile(r"(.*?)(?:#([0-9a-f]{64}))?", re.DOTALL)


def train_remotely(
    train: str,
    *,
    validation: str,
    preprocessor: str,
    model: str,
    epochs: int = 0,
    seed: int = 0,
    settings: str = "{}",
) -> dict[str, Any]:
    """Fetch the inputs, train, and have the first process of all store the model; it returns the facts.

    Args:
        train: URI of the split to learn from; "#" and an artifact's digest behind it makes sure that it is that one.
        validation: URI of the split that chooses the best epoch, as above.
        preprocessor: URI of the preprocessor, as above.
        model: URI under which the model is stored.
        epochs: As for `ropewalk.training`.
        seed: As for `ropewalk.training`.
        settings: The training's settings as a JSON object.
    """
    try:
        values = json.loads(settings)
    except ValueError as error:
        raise ConfigError(f"settings={settings!r} is not JSON ({error}).") from error
    config = parse_config(TrainingConfig, values, section="training")
    # Beside the model in its storage: this pod's own disk goes with it.
    config = replace(config, checkpoint=fsspec_uri(config.checkpoint or f"{model}.checkpoints"))
    paths = [_fetch(uri, kind) for uri, kind in ((train, SPLIT), (validation, SPLIT), (preprocessor, PREPROCESSOR))]
    from ropewalk.training.train import train as train_network

    first = os.environ.get("RANK", "0") == "0"
    with tempfile.TemporaryDirectory(prefix="ropewalk-model-") as scratch:
        mounted = local_path(model) if first else None
        manifest = train_network(
            paths[0],
            validation=paths[1],
            preprocessor=paths[2],
            model=mounted or Path(scratch) / "model",
            epochs=epochs,
            seed=seed,
            config=config,
        )
        if first and mounted is None:
            store_artifact(Path(scratch) / "model", model, MODEL)
    return manifest.metadata() if first else {}


def _fetch(reference: str, kind: str) -> Path:
    uri, digest = _REFERENCE.fullmatch(reference).groups(default="")  # type: ignore[union-attr]  # it matches any text
    return fetch_artifact(uri, kind, digest=digest)


if __name__ == "__main__":
    run_command(train_remotely, name="training.remote", show=os.environ.get("RANK", "0") == "0")
