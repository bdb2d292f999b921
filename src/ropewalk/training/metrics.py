"""Scores of outputs on the validation rows, computed where the outputs are."""

import torch
from torch import Tensor

SCORES = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
"""The score that chooses the best epoch, per task."""


def loss_function(outputs: Tensor, target: Tensor, task: str) -> Tensor:
    """Return the mean loss: cross-entropy (nats), or squared error in the scaled unit for regression."""
    if task == "binary":
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(1), target.to(outputs.dtype))
    if task == "multiclass":
        return torch.nn.functional.cross_entropy(outputs, target)
    return torch.nn.functional.mse_loss(outputs.squeeze(1), target)


def roc_auc(scores: Tensor, positive: Tensor) -> float:
    """Return the area under the ROC curve: the chance that a positive outranks a negative, ties counted half.

    By the Mann-Whitney rank sum. `scores` and `positive` (0 or 1) have shape (rows,). 0.5 where one class is absent.
    """
    _, position, counts = scores.double().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[position]
    positives = positive.double().sum()
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    rank_sum = (ranks * positive).sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def validation_score(outputs: Tensor, target: Tensor, task: str, loss: float, scale: float) -> float:
    """Return the task's score in SCORES; rmse in the target's own unit, whose standard deviation is `scale`."""
    if task == "binary":
        return roc_auc(outputs.squeeze(1), target)
    if task == "multiclass":
        return loss
    return float(loss**0.5 * scale)
