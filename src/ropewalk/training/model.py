"""The trained model: takes raw columns, gives probabilities or values; and its files."""

import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ropewalk import __version__
from ropewalk.artifacts import MODEL, Manifest, read_artifact, write_json
from ropewalk.config import parse_config
from ropewalk.errors import ArtifactError
from ropewalk.preprocess.preprocessor import Encoded, Preprocessor, load_preprocessor
from ropewalk.training.config import GBDT, TrainingConfig

DESCRIPTION = "model.json"
HISTORY = "history.json"
FORMAT_VERSION = 2


class Learned(Protocol):
    """What was learned, whatever the architecture: gives the outputs of encoded rows."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """Distributions that loading needs."""

    def outputs(self, encoded: Encoded) -> np.ndarray:
        """Return logits or scaled values in float64, shape (rows, outputs)."""

    def save(self, folder: Path) -> None:
        """Write it into `folder`; no pickle."""


class TrainedModel:
    """What was learned, with the preprocessor that feeds it."""

    def __init__(
        self,
        *,
        preprocessor: Preprocessor,
        learned: Learned,
        center: float,
        scale: float,
        history: list[dict[str, Any]],
        manifest: Manifest,
    ) -> None:
        self.preprocessor = preprocessor
        self.history = history
        """Per epoch, see `fit.Fit.history`."""
        self.manifest = manifest
        self._learned = learned
        self._center = center
        self._scale = scale

    @property
    def requirements(self) -> tuple[str, ...]:
        """Distributions that loading the model needs because of its architecture."""
        return self._learned.requirements

    @property
    def task(self) -> str:
        """One of "binary", "multiclass" and "regression"."""
        return self.preprocessor.task

    @property
    def target(self) -> str:
        """Name of the target column."""
        return self.preprocessor.target

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the probabilities (binary: negative, positive); empty for regression."""
        return list(self.preprocessor.classes)

    @property
    def feature_names(self) -> list[str]:
        """The raw columns that the model reads."""
        return [column.name for column in self.preprocessor.takes]

    def encode_target(self, table: pa.Table) -> np.ndarray:
        """Return the target of `table`: class indices (int64), or values (float64) for regression."""
        return self.preprocessor.encode_target(table)

    def predict(self, table: pa.Table) -> np.ndarray:
        """Return predictions for raw rows, in float64.

        Classification: probabilities, shape (rows, classes). Regression: values in the target's unit, shape (rows,).

        Raises:
            DataError: A column is missing or cannot be read as in training.
        """
        if not table.num_rows:
            return np.empty((0, len(self.classes))) if self.classes else np.empty(0)
        outputs = self._learned.outputs(self.preprocessor.encode(table))
        if self.task == "regression":
            return outputs[:, 0] * self._scale + self._center
        if self.task == "binary":
            outputs = np.hstack([np.zeros_like(outputs), outputs])
        grown = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def save_model(
    folder: Path,
    *,
    preprocessor: Preprocessor,
    learned: Learned,
    center: float,
    scale: float,
    history: list[dict[str, Any]],
    config: TrainingConfig,
) -> None:
    """Write a model's files into `folder`: what was learned, description, preprocessor and history; no pickle."""
    learned.save(folder)
    preprocessor.save(folder)
    write_json(folder / HISTORY, history)
    libraries = ("numpy", "pyarrow", *learned.requirements)
    description = {
        "format_version": FORMAT_VERSION,
        "architecture": config.architecture,
        "target_center": center,
        "target_scale": scale,
        "training": asdict(config),
        "environment": {"ropewalk": __version__, **{name: metadata.version(name) for name in libraries}},
    }
    write_json(folder / DESCRIPTION, description)


def load_model(path: Path) -> TrainedModel:
    """Return the model of the model artifact at `path`, every byte verified.

    Raises:
        ArtifactError: It is missing, altered, or of a format that this release cannot read; or the user's own
            function that builds its network cannot be found here.
        ConfigError: Its architecture needs a library that is not installed here.
    """
    manifest = read_artifact(path, MODEL)
    description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    if description["format_version"] != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} holds a model of format {description['format_version']}; Ropewalk {__version__} reads "
            f"{FORMAT_VERSION}. Train it again, or use the release that made it ({manifest.created_by})."
        )
    preprocessor = load_preprocessor(path)
    config = parse_config(TrainingConfig, description["training"], section="training")
    return TrainedModel(
        preprocessor=preprocessor,
        learned=_load_learned(path, preprocessor, config),
        center=description["target_center"],
        scale=description["target_scale"],
        history=json.loads((path / HISTORY).read_text(encoding="utf-8")),
        manifest=manifest,
    )


def _load_learned(path: Path, preprocessor: Preprocessor, config: TrainingConfig) -> Learned:
    # Each imported late: trees are served without torch, networks without XGBoost.
    if config.architecture == GBDT:
        from ropewalk.training.trees import load_trees

        return load_trees(path, preprocessor)
    from ropewalk.training.networks import load_network

    return load_network(path, preprocessor, config)
