"""Encoded rows on the device that computes, and what a network says of them.

Shape suffixes: B rows, N numbers, C category columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ropewalk.preprocess.preprocessor import Encoded
from ropewalk.training.metrics import combine_members

SCORING_ROWS = 8192
"""Rows per forward pass outside training: bounds memory, and large enough to keep a processor busy."""


@dataclass(frozen=True)
class Rows:
    """Encoded rows with their target, on the device that computes."""

    inputs: tuple[Tensor, Tensor, Tensor]
    """numbers_BN and missing_BN (float32) and codes_BC (int32)."""
    target: Tensor
    """Class index (int64), 0 or 1 (float32, binary), or scaled value (float32, regression); shape (rows,)."""
    weight: Tensor | None = None
    """Each row's weight in loss and score (float32), 1 on average; shape (rows,); absent: all weigh the same."""

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> "Rows":
        """Return the rows that have these `tensors`."""
        numbers_BN, missing_BN, codes_BC, target, *weight = tensors
        return cls((numbers_BN, missing_BN, codes_BC), target, weight[0] if weight else None)

    def __len__(self) -> int:
        return len(self.target)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs, the target and, where there are any, the weights."""
        return (*self.inputs, self.target, *([] if self.weight is None else [self.weight]))


def rows_on(device: torch.device, encoded: Encoded, target: Tensor, weight: Tensor | None = None) -> Rows:
    """Return encoded rows, their target and weights as tensors on `device`."""
    arrays = (encoded.numbers_BN, encoded.missing_BN, encoded.codes_BC)
    numbers_BN, missing_BN, codes_BC = (torch.from_numpy(array).to(device) for array in arrays)
    return Rows((numbers_BN, missing_BN, codes_BC), target.to(device), None if weight is None else weight.to(device))


def joined(labels: Sequence[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    """Return the targets and weights of several pieces as one."""
    weights = [weight for _, weight in labels if weight is not None]
    return torch.cat([target for target, _ in labels]), torch.cat(weights) if weights else None


def score(network: nn.Module, rows: Rows, task: str) -> Tensor:
    """Return the outputs for all rows in float32, shape (rows, outputs); an ensemble's members are combined."""
    network.eval()
    with torch.inference_mode():
        chunks = zip(*(part.split(SCORING_ROWS) for part in rows.inputs), strict=True)
        return torch.cat([combine_members(network(*chunk).float(), task) for chunk in chunks])
