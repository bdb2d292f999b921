"""The default network for tables: piecewise-linear number embeddings and category embeddings before an MLP.

Number embeddings after Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning"
(NeurIPS 2022, arXiv 2203.05556), variant PLE with quantile bins, a linear layer per number and ReLU.
Shape suffixes: B rows, N numbers, K bins, D embedding dimensions, C category columns.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from ropewalk.preprocess.preprocessor import FIRST_CATEGORY, LARGEST, UNKNOWN, Preprocessor
from ropewalk.training.config import TrainingConfig


class TabularNetwork(nn.Module):
    """Maps encoded rows to a logit per class (multiclass), one logit (binary) or one scaled value (regression)."""

    left_NK: Tensor
    slope_NK: Tensor
    flagged: Tensor

    def __init__(self, preprocessor: Preprocessor, config: TrainingConfig) -> None:
        super().__init__()
        left_NK, slope_NK = _bins(preprocessor)
        self.register_buffer("left_NK", left_NK, persistent=False)
        self.register_buffer("slope_NK", slope_NK, persistent=False)
        self.register_buffer("flagged", _flagged(preprocessor), persistent=False)
        self.unknown_rate = config.unknown_rate
        numbers, bins = left_NK.shape
        self.number_weight_NKD = nn.Parameter(
            torch.randn(numbers, bins, config.number_embedding) / math.sqrt(max(bins, 1))
        )
        self.number_bias_ND = nn.Parameter(torch.zeros(numbers, config.number_embedding))
        self.categories = nn.ModuleList(
            _embedding(len(vocabulary) + FIRST_CATEGORY, config.category_embedding)
            for vocabulary in preprocessor.vocabularies
        )
        inputs = (
            numbers * config.number_embedding + len(self.flagged) + sum(_dimensions(table) for table in self.categories)
        )
        layers: list[nn.Module] = []
        for _ in range(config.depth):
            layers += [nn.Linear(inputs, config.width), nn.ReLU(), nn.Dropout(config.dropout)]
            inputs = config.width
        outputs = len(preprocessor.classes) if preprocessor.task == "multiclass" else 1
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, outputs))

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs)."""
        if self.training and self.unknown_rate:
            known = torch.rand(codes_BC.shape, device=codes_BC.device) >= self.unknown_rate
            codes_BC = torch.where(known, codes_BC, UNKNOWN)
        share_BNK = ((numbers_BN.unsqueeze(2) - self.left_NK) * self.slope_NK).clamp(0, 1)
        embedded_BND = torch.einsum("bnk,nkd->bnd", share_BNK, self.number_weight_NKD) + self.number_bias_ND
        embedded = [table(codes_BC[:, index]) for index, table in enumerate(self.categories)]
        return self.layers(torch.cat([embedded_BND.relu().flatten(1), missing_BN[:, self.flagged], *embedded], dim=1))  # type: ignore[no-any-return]


def _bins(preprocessor: Preprocessor) -> tuple[Tensor, Tensor]:
    """Return each bin's left edge and 1 / width in the scaled unit; bins that a number lacks have slope 0."""
    bins = max((len(number.edges) - 1 for number in preprocessor.numbers), default=0)
    left_NK = torch.zeros(len(preprocessor.numbers), bins)
    slope_NK = torch.zeros_like(left_NK)
    for index, number in enumerate(preprocessor.numbers):
        edges = torch.from_numpy(number.scaled(np.array(number.edges)))
        # Edges that differ in float64 alone would make bins of width 0.
        edges = edges.float().unique()
        left_NK[index, : len(edges) - 1] = edges[:-1]
        slope_NK[index, : len(edges) - 1] = (1 / edges.diff()).clamp(max=LARGEST)
    return left_NK, slope_NK


def _flagged(preprocessor: Preprocessor) -> Tensor:
    """Return the indices of the numbers that were missing in some training row."""
    missing = [column.missing > 0 for column in preprocessor.used for _ in column.numbers]
    return torch.tensor(missing, dtype=torch.bool).nonzero().flatten()


def _embedding(categories: int, most: int) -> nn.Embedding:
    table = nn.Embedding(categories, min(most, round(1.6 * categories**0.56)))
    nn.init.normal_(table.weight, std=0.1)
    return table


def _dimensions(table: nn.Module) -> int:
    assert isinstance(table, nn.Embedding)
    return table.embedding_dim
