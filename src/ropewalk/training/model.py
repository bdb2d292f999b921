"""The trained model: takes raw columns, gives probabilities or values; and its files."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ropewalk import __version__
from ropewalk.artifacts import MODEL, Manifest, read_artifact, write_json
from ropewalk.config import parse_config
from ropewalk.errors import ArtifactError
from ropewalk.preprocess.preprocessor import Preprocessor, load_preprocessor
from ropewalk.training.config import TrainingConfig
from ropewalk.training.fit import rows_on, score
from ropewalk.training.network import TabularNetwork

WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"
HISTORY = "history.json"
ARCHITECTURE = "tabular"
FORMAT_VERSION = 1


class TrainedModel:
    """A network with the preprocessor that feeds it."""

    def __init__(
        self,
        *,
        preprocessor: Preprocessor,
        network: nn.Module,
        center: float,
        scale: float,
        history: list[dict[str, Any]],
        manifest: Manifest,
    ) -> None:
        self.preprocessor = preprocessor
        self.history = history
        """Per epoch, see `fit.Fit.history`."""
        self.manifest = manifest
        self._network = network
        self._center = center
        self._scale = scale

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
        rows = rows_on(torch.device("cpu"), self.preprocessor.encode(table), torch.zeros(table.num_rows))
        if not len(rows):
            return np.empty((0, len(self.classes))) if self.classes else np.empty(0)
        outputs = score(self._network, rows).double()
        if self.task == "regression":
            return np.asarray(outputs.squeeze(1) * self._scale + self._center)
        if self.task == "binary":
            positive = outputs.sigmoid()
            return np.asarray(torch.cat([1 - positive, positive], dim=1))
        return np.asarray(outputs.softmax(dim=1))


def save_model(
    folder: Path,
    *,
    preprocessor: Preprocessor,
    state: dict[str, torch.Tensor],
    center: float,
    scale: float,
    history: list[dict[str, Any]],
    config: TrainingConfig,
) -> None:
    """Write a model's files into `folder`: weights, description, preprocessor and history; no pickle."""
    save_file({name: tensor.contiguous().cpu() for name, tensor in state.items()}, folder / WEIGHTS)
    preprocessor.save(folder)
    write_json(folder / HISTORY, history)
    description = {
        "format_version": FORMAT_VERSION,
        "architecture": ARCHITECTURE,
        "target_center": center,
        "target_scale": scale,
        "training": asdict(config),
        "environment": {
            "ropewalk": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pyarrow": pa.__version__,
        },
    }
    write_json(folder / DESCRIPTION, description)


def load_model(path: Path) -> TrainedModel:
    """Return the model of the model artifact at `path`, every byte verified.

    Raises:
        ArtifactError: It is missing, altered, or of a format or architecture that this release cannot read.
    """
    manifest = read_artifact(path, MODEL)
    description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    found = (description["format_version"], description["architecture"])
    if found != (FORMAT_VERSION, ARCHITECTURE):
        raise ArtifactError(
            f"{path} holds a model of format {found[0]} and architecture {found[1]!r}; Ropewalk "
            f"{__version__} reads {FORMAT_VERSION} and {ARCHITECTURE!r}. "
            f"Train it again, or use the release that made it ({manifest.created_by})."
        )
    preprocessor = load_preprocessor(path)
    network = TabularNetwork(preprocessor, parse_config(TrainingConfig, description["training"], section="training"))
    network.load_state_dict(load_file(path / WEIGHTS))
    return TrainedModel(
        preprocessor=preprocessor,
        network=network,
        center=description["target_center"],
        scale=description["target_scale"],
        history=json.loads((path / HISTORY).read_text(encoding="utf-8")),
        manifest=manifest,
    )
