"""Scores of outputs on the validation rows, computed where the outputs are."""

import math

import torch
from torch import Tensor

SCORES = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
"""The score that chooses the best epoch, per task."""


def loss_function(outputs: Tensor, target: Tensor, task: str, weight: Tensor | None = None) -> Tensor:
    """Return the mean loss: cross-entropy (nats), or squared error in the scaled unit for regression.

    Args:
        outputs: Shape (rows, outputs); or (rows, members, outputs), and each member's loss counts alike.
        target: Class index, 0 or 1 (binary), or scaled value; shape (rows,).
        task: "binary", "multiclass" or "regression".
        weight: Each row's share in the mean, 1 on average over all training rows; shape (rows,); absent: 1.
    """
    if outputs.ndim == 3:
        members = outputs.shape[1]
        target = target.repeat_interleave(members)
        weight = None if weight is None else weight.repeat_interleave(members)
        outputs = outputs.flatten(0, 1)
    if weight is None:
        return _losses(outputs, target, task, "mean")
    return (_losses(outputs, target, task, "none") * weight).mean()


def _losses(outputs: Tensor, target: Tensor, task: str, reduction: str) -> Tensor:
    if task == "multiclass":
        return torch.nn.functional.cross_entropy(outputs, target, reduction=reduction)
    if task == "binary":
        return torch.nn.functional.binary_cross_entropy_with_logits(
            outputs.squeeze(1), target.to(outputs.dtype), reduction=reduction
        )
    return torch.nn.functional.mse_loss(outputs.squeeze(1), target, reduction=reduction)


def combine_members(outputs: Tensor, task: str) -> Tensor:
    """Return the outputs of the ensemble, shape (rows, outputs): the mean of its members' probabilities or values.

    Args:
        outputs: Shape (rows, members, outputs); outputs without members, (rows, outputs), come back as they are.
        task: "binary", "multiclass" or "regression".
    """
    if outputs.ndim == 2:
        return outputs
    if task == "regression":
        return outputs.mean(dim=1)
    members = math.log(outputs.shape[1])
    if task == "multiclass":
        return outputs.log_softmax(dim=2).logsumexp(dim=1) - members
    # In logarithms, so that probabilities near 0 and 1 keep their digits.
    positive, negative = (torch.nn.functional.logsigmoid(side).logsumexp(dim=1) for side in (outputs, -outputs))
    return positive - negative


def roc_auc(scores: Tensor, positive: Tensor, weight: Tensor | None = None) -> float:
    """Return the area under the ROC curve: the chance that a positive outranks a negative, ties counted half.

    `scores`, `positive` (0 or 1) and `weight` (0 or more; absent: 1) have shape (rows,). 0.5 where one class is absent.
    """
    distinct, position = scores.double().unique(return_inverse=True)
    weight = torch.ones_like(scores, dtype=torch.float64) if weight is None else weight.double()
    total, positives = (
        torch.zeros_like(distinct).index_add(0, position, amount) for amount in (weight, weight * positive)
    )
    negatives = total - positives
    outranked = negatives.cumsum(0) - negatives / 2
    pairs = positives.sum() * negatives.sum()
    return float((positives * outranked).sum() / pairs) if pairs > 0 else 0.5


def validation_score(
    outputs: Tensor, target: Tensor, task: str, loss: float, scale: float, weight: Tensor | None = None
) -> float:
    """Return the task's score in SCORES; rmse in the target's own unit, whose standard deviation is `scale`."""
    if task == "binary":
        return roc_auc(outputs.squeeze(1), target, weight)
    if task == "multiclass":
        return loss
    return float(loss**0.5 * scale)


def preference(task: str, score: float, loss: float) -> tuple[float, float]:
    """Return what is larger for the better of two epochs: by the score in SCORES, by the lower loss where those tie."""
    return (score if task == "binary" else -score, -loss)
