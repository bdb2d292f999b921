"""Trained networks: their outputs for encoded rows, and their weights' file."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ropewalk.errors import ArtifactError, ConfigError
from ropewalk.preprocess.preprocessor import Encoded, Preprocessor
from ropewalk.training.architectures import build_network
from ropewalk.training.config import TrainingConfig
from ropewalk.training.rows import rows_on, score

WEIGHTS = "weights.safetensors"


class TrainedNetwork:
    """A network that gives the outputs of rows."""

    requirements = ("torch", "safetensors")
    """Distributions that loading needs."""

    def __init__(self, network: nn.Module, task: str) -> None:
        self._network = network
        self._task = task

    def outputs(self, encoded: Encoded) -> np.ndarray:
        """Return logits or scaled values in float64, shape (rows, outputs); an ensemble's members are combined."""
        rows = rows_on(torch.device("cpu"), encoded, torch.zeros(len(encoded.codes_BC)))
        return np.asarray(score(self._network, rows, self._task).double())

    def save(self, folder: Path) -> None:
        """Write the weights into `folder`, as safetensors."""
        state = self._network.state_dict()
        # Copied, because safetensors refuses tensors that share memory, as the tied weights of a user's network do.
        save_file({name: tensor.cpu().clone().contiguous() for name, tensor in state.items()}, folder / WEIGHTS)


def load_network(folder: Path, preprocessor: Preprocessor, config: TrainingConfig) -> TrainedNetwork:
    """Return the network whose weights `folder` holds.

    Raises:
        ArtifactError: The user's own function that builds it cannot be found, or builds another network now.
    """
    try:
        network = build_network(preprocessor, config)
    except ConfigError as error:
        raise ArtifactError(f"{folder} holds a network that {config.architecture!r} builds. {error}") from error
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError as error:
        raise ArtifactError(
            f"{folder} holds a network that {config.architecture!r} built, and it builds another one now: use the "
            f"code that the model was trained with. {error}"
        ) from error
    return TrainedNetwork(network, preprocessor.task)
