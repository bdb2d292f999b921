"""What makes two attempts attempts at the same training, and where its checkpoints are."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from ropewalk import __version__
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.training.architectures.own import own_code
from ropewalk.training.checkpoint import FORMAT_VERSION
from ropewalk.training.config import TrainingConfig
from ropewalk.training.parts import Parts

CHECKPOINTS = "ROPEWALK_CHECKPOINTS"
"""Variable that names the folder or URI for checkpoints where the settings name none."""

_WITHOUT_EFFECT = {
    "checkpoint",
    "checkpoint_seconds",
    "checkpoint_steps",
    "log_seconds",
    "max_seconds",
    "device",
}
"""Settings that leave the parameters after a number of steps as they are."""


def fingerprint(
    parts: Sequence[Parts],
    learned: Preprocessor,
    parameters: Mapping[str, Tensor],
    *,
    epochs: int,
    seed: int,
    precision: str,
    config: TrainingConfig,
) -> str:
    """Return a name for what is trained, on what, and how: another attempt at the same has the same name."""
    settings = {name: value for name, value in asdict(config).items() if name not in _WITHOUT_EFFECT}
    inputs = {
        "ropewalk": __version__,
        "format": FORMAT_VERSION,
        "splits": [each.manifest.digest for each in parts],
        "preprocessor": asdict(learned),
        "network": {name: list(value.shape) for name, value in parameters.items()},
        "epochs": epochs,
        "seed": seed,
        "precision": precision,
        "config": settings,
        "code": own_code(config.architecture),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def checkpoint_place(config: TrainingConfig, model: Path, name: str) -> str:
    """Return the checkpoints' folder: under the configured one, under the environment's, or beside the model."""
    durable = config.checkpoint or os.environ.get(CHECKPOINTS, "")
    if durable:
        return f"{durable.rstrip('/')}/{name[:16]}"
    return str(model.with_name(f"{model.name}.checkpoint-{name[:16]}"))
