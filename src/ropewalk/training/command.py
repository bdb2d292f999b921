"""The training step as a command: for people, for torchrun, and for the trials of a search."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ropewalk.artifacts import Manifest
from ropewalk.config import parse_config
from ropewalk.errors import ConfigError
from ropewalk.training.config import TrainingConfig
from ropewalk.training.places import train_at


def train_command(
    train: str,
    *,
    validation: str,
    preprocessor: str,
    model: str,
    curves: Path | None = None,
    epochs: int = 0,
    seed: int = 0,
    settings: str = "{}",
    config: TrainingConfig = TrainingConfig(),
) -> Manifest:
    """Fit a model to the training split and write it as it was in its best epoch; prints its manifest.

    Checkpoints are kept meanwhile, so that the same call goes on where one was stopped or killed. Started by torchrun,
    several processes train one model. In a trial (KATIB_TRIAL_NAME is set) the metrics of each epoch, and at last those
    of the model that is kept, are printed as `name=value`.

    Args:
        train: Split to learn from: a folder or a URI; "#" and its digest behind it makes sure that it is that one.
        validation: Split that chooses the best epoch, named in the same way.
        preprocessor: Preprocessor artifact, learned from the same training split; named in the same way.
        model: Where to write the model: a folder or a URI.
        curves: Where to write a page with the training curves; absent: none.
        epochs: Most passes over the training rows; 0: as many as the table's size calls for (8 to 125). For
            gradient boosting: most rounds; 0: 1,000.
        seed: Seed of initial weights, shuffling and dropout. Same seed, rows and machine: same model.
        settings: Settings as a JSON object, instead of their flags.
        config: Architecture, its settings, and the optimiser's.
    """
    return train_at(
        train,
        validation=validation,
        preprocessor=preprocessor,
        model=model,
        curves=curves,
        epochs=epochs,
        seed=seed,
        config=_merged(read_settings(settings), config),
    )


def read_settings(settings: str) -> dict[str, Any]:
    """Return the object in the JSON text `settings`.

    Raises:
        ConfigError: It is none.
    """
    try:
        values = json.loads(settings)
    except ValueError as error:
        raise ConfigError(f"settings={settings!r} is not JSON ({error}).") from error
    if not isinstance(values, dict):
        raise ConfigError(f'settings={settings!r}: need a JSON object, such as {{"dropout": 0.3}}.')
    return values


def _merged(settings: Mapping[str, Any], flags: TrainingConfig) -> TrainingConfig:
    default = asdict(TrainingConfig())
    given = {name: value for name, value in asdict(flags).items() if value != default[name]}
    if both := settings.keys() & given.keys():
        raise ConfigError(f"settings has {', '.join(sorted(both))}, and so have flags: give each once.")
    return parse_config(TrainingConfig, {**given, **settings}, section="settings")
