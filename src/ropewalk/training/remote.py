"""Training in the pods of a cluster job: inputs and the model are URIs, and every process runs this.

torchrun --nproc-per-node 2 -m ropewalk.training.remote --train s3://bucket/train ...
"""

import os
from dataclasses import replace
from typing import Any

from ropewalk.commandline import run_command
from ropewalk.config import parse_config
from ropewalk.remote_artifacts import fsspec_uri
from ropewalk.training.allocation import keep_freed_memory
from ropewalk.training.command import read_settings
from ropewalk.training.config import TrainingConfig
from ropewalk.training.places import train_at
from ropewalk.training.threads import let_waiting_threads_sleep


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
    config = parse_config(TrainingConfig, read_settings(settings), section="training")
    # Beside the model in its storage: this pod's own disk goes with it.
    config = replace(config, checkpoint=fsspec_uri(config.checkpoint or f"{model}.checkpoints"))
    manifest = train_at(
        train, validation=validation, preprocessor=preprocessor, model=model, epochs=epochs, seed=seed, config=config
    )
    return manifest.metadata() if os.environ.get("RANK", "0") == "0" else {}


if __name__ == "__main__":
    let_waiting_threads_sleep()
    keep_freed_memory()
    run_command(train_remotely, name="training.remote", show=os.environ.get("RANK", "0") == "0")
