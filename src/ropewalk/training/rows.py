"""Encoded rows on the device that computes, and what a network says of them.

Shape suffixes: B rows, N numbers, C category columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ropewalk.preprocess.preprocessor import Encoded

SCORING_ROWS = 8192
"""Rows per forward pass outside training: bounds memory, and large enough to keep a processor busy."""


@dataclass(frozen=True)
class Rows:
    """Encoded rows with their target, on the device that computes."""

    inputs: tuple[Tensor, Tensor, Tensor]
    """numbers_BN and missing_BN (float32) and codes_BC (int32)."""
    target: Tensor
    """Class index (int64), 0 or 1 (float32, binary), or scaled value (float32, regression); shape (rows,)."""

    def __len__(self) -> int:
        return len(self.target)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs and the target."""
        return (*self.inputs, self.target)


def rows_on(device: torch.device, encoded: Encoded, target: Tensor) -> Rows:
    """Return encoded rows and their target as tensors on `device`."""
    arrays = (encoded.numbers_BN, encoded.missing_BN, encoded.codes_BC)
    numbers_BN, missing_BN, codes_BC = (torch.from_numpy(array).to(device) for array in arrays)
    return Rows((numbers_BN, missing_BN, codes_BC), target.to(device))


def score(network: nn.Module, rows: Rows) -> Tensor:
    """Return the outputs for all rows in float32, shape (rows, outputs)."""
    network.eval()
    with torch.inference_mode():
        chunks = zip(*(part.split(SCORING_ROWS) for part in rows.inputs), strict=True)
        return torch.cat([network(*chunk) for chunk in chunks])
