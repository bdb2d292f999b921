"""The rows that trees learn from: read one row group at a time, and held as the number of the bin of each value.

A value takes one byte where no column has gaps and four where one has, instead of the four of its float32 and the more
of its Arrow and encoded forms beside it; a row further has its target, its weight and its outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import xgboost
from torch import Tensor

from ropewalk.preprocess.preprocessor import Encoded, Preprocessor
from ropewalk.training.labels import Labels
from ropewalk.training.parts import Parts
from ropewalk.training.rows import Rows, joined
from ropewalk.training.trees import tree_columns


@dataclass(frozen=True)
class TreeRows:
    """A split as trees read it."""

    matrix: xgboost.QuantileDMatrix
    """The binned values, with target and weight."""
    target: Tensor
    """Class index (int64), 0 or 1, or scaled value (float32); shape (rows,)."""
    weight: Tensor | None
    """Each row's weight in loss and score (float32), 1 on average; shape (rows,); absent: all weigh the same."""


def read_tree_rows(
    parts: Parts, labels: Labels, preprocessor: Preprocessor, *, like: TreeRows | None = None
) -> TreeRows:
    """Return the rows of a split; `like`: in the bins of those, and of equal weight to the library."""
    groups = _Groups(parts, labels, preprocessor, weighted=like is None)
    matrix = xgboost.QuantileDMatrix(groups, ref=None if like is None else like.matrix, enable_categorical=True)
    target, weight = joined(groups.labels)
    return TreeRows(matrix, target, weight)


class _Groups(xgboost.DataIter):
    """Hands XGBoost one row group after the other, as often as it asks; it finds the bins first, then fills them."""

    def __init__(self, parts: Parts, labels: Labels, preprocessor: Preprocessor, *, weighted: bool) -> None:
        super().__init__()
        self._parts, self._labels, self._preprocessor, self._weighted = parts, labels, preprocessor, weighted
        self._groups = [group for group, size in enumerate(parts.sizes) if size]
        self._at = 0
        self.labels: list[tuple[Tensor, Tensor | None]] = []
        """Target and weight of each row group."""

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Give the next row group to `input_data`; returns whether there was one."""
        if self._at == len(self._groups):
            return False
        rows = self._parts.read([self._groups[self._at]], self._labels)
        if len(self.labels) == self._at:
            self.labels.append((rows.target, rows.weight))
        self._at += 1
        columns, kinds = tree_columns(_encoded(rows), self._preprocessor)
        weight = rows.weight if self._weighted else None
        input_data(
            data=columns,
            label=rows.target.numpy(),
            weight=None if weight is None else weight.numpy(),
            feature_types=kinds,
        )
        return True

    def reset(self) -> None:
        """Begin again."""
        self._at = 0


def _encoded(rows: Rows) -> Encoded:
    numbers_BN, missing_BN, codes_BC = (tensor.numpy() for tensor in rows.inputs)
    return Encoded(numbers_BN, missing_BN, codes_BC)


def as_bytes(tensor: Tensor) -> bytearray:
    """Return a tensor of uint8 as bytes."""
    return bytearray(tensor.numpy().tobytes())


def as_tensor(content: bytes | bytearray) -> Tensor:
    """Return bytes as a tensor of uint8."""
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)
