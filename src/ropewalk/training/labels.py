"""Labels: what the loss takes of a row besides what the network reads, its target and its weight."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ropewalk.training.targets import Scaling
from ropewalk.training.weights import Weighting


@dataclass(frozen=True, kw_only=True)
class Labels:
    """How encoded targets and raw columns become what the loss takes."""

    task: str
    """"binary", "multiclass" or "regression"."""
    scaling: Scaling
    """What a regression target is divided by."""
    weighting: Weighting
    """How much each row counts."""

    def tensors(self, table: pa.Table, target: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """Return the target and, where rows do not all weigh the same, the weights of rows, shape (rows,) each."""
        weight = self.weighting.of(table, target)
        scaled = torch.from_numpy(self.scaling.apply(target))
        return (
            scaled if self.task == "multiclass" else scaled.float(),
            None if weight is None else torch.from_numpy(weight).float(),
        )
