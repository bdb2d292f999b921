"""What a network learns, from what, and what that leaves behind."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ropewalk.training.tables import Table


@dataclass(frozen=True)
class Fit:
    """What training left behind."""

    state: dict[str, Tensor]
    """Averaged parameters of the best epoch."""
    best_epoch: int
    """1 or more."""
    history: list[dict[str, Any]]
    """Per epoch: epoch, train_loss, validation_loss, validation_<score>, learning_rate, rows_per_second, seconds, rows
    (seen in it), and system/<figure> as MLflow names them."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is learned, from what, and by how many passes."""

    kind: str
    """"binary", "multiclass" or "regression"."""
    train: Table
    """Rows to learn from."""
    validation: Table
    """Rows that choose the best epoch."""
    epochs: int
    """Most passes over `train`."""
    seed: int
    """Seed of the rows' order."""
    scale: float
    """The regression target's standard deviation, which turns losses into its own unit."""
    precision: torch.dtype
    """Type of matrix products."""
