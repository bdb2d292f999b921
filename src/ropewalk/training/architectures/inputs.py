"""Inputs: modules that turn encoded columns into what the layers of a network take.

Shape suffixes: B rows, N numbers, K bins, D embedding dimensions, C category columns.
"""

import math

import torch
from torch import Tensor, nn

from ropewalk.preprocess.preprocessor import LARGEST, UNKNOWN
from ropewalk.training.architectures.schema import CategoryInput, NumberInput, Schema


class CategoryEmbeddings(nn.Module):
    """An embedding per category column, side by side; in training some codes are made unknown."""

    def __init__(self, categories: tuple[CategoryInput, ...], *, most: int, unknown_rate: float) -> None:
        super().__init__()
        self.unknown_rate = unknown_rate
        self.tables = nn.ModuleList(_embedding(category.codes, most) for category in categories)
        self.width = sum(_width(category.codes, most) for category in categories)

    def forward(self, codes_BC: Tensor) -> Tensor:
        """Return the embeddings, shape (rows, width)."""
        codes_BC = forget_some(codes_BC, self.unknown_rate if self.training else 0.0)
        embedded = [table(codes_BC[:, index]) for index, table in enumerate(self.tables)]
        return torch.cat(embedded, dim=1) if embedded else torch.empty(len(codes_BC), 0, device=codes_BC.device)


def forget_some(codes_BC: Tensor, rate: float) -> Tensor:
    """Return the codes with a share `rate` of them made unknown, so that a network learns what to do with new ones."""
    if not rate:
        return codes_BC
    known = torch.rand(codes_BC.shape, device=codes_BC.device) >= rate
    return torch.where(known, codes_BC, UNKNOWN)


class PiecewiseLinearEmbeddings(nn.Module):
    """A piecewise-linear embedding per number.

    After Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning" (NeurIPS 2022, arXiv
    2203.05556), variant PLE with quantile bins, a linear layer per number and ReLU.
    """

    left_NK: Tensor
    slope_NK: Tensor

    def __init__(self, numbers: tuple[NumberInput, ...], dimensions: int) -> None:
        super().__init__()
        left_NK, slope_NK = _bins(numbers)
        self.register_buffer("left_NK", left_NK, persistent=False)
        self.register_buffer("slope_NK", slope_NK, persistent=False)
        count, bins = left_NK.shape
        self.weight_NKD = nn.Parameter(torch.randn(count, bins, dimensions) / math.sqrt(max(bins, 1)))
        self.bias_ND = nn.Parameter(torch.zeros(count, dimensions))
        self.width = count * dimensions

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """Return the embeddings, shape (rows, width)."""
        share_BNK = ((numbers_BN.unsqueeze(2) - self.left_NK) * self.slope_NK).clamp(0, 1)
        embedded_BND = torch.einsum("bnk,nkd->bnd", share_BNK, self.weight_NKD) + self.bias_ND
        return embedded_BND.relu().flatten(1)


class PlainNumbers(nn.Module):
    """Numbers cut off smoothly at plus and minus 3, x / sqrt(1 + (x / 3)^2), and their missing flags.

    The cut is that of RealMLP (Holzmüller et al., NeurIPS 2024, arXiv 2407.04491).
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.flags = MissingFlags(schema.numbers)
        self.width = len(schema.numbers) + self.flags.width

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor) -> Tensor:
        """Return numbers and flags, shape (rows, width)."""
        # As a product of bounded factors: the square of the largest float32 numbers would be infinite.
        cut_BN = numbers_BN / torch.hypot(torch.ones((), device=numbers_BN.device), numbers_BN / 3)
        return torch.cat([cut_BN, self.flags(missing_BN)], dim=1)


class MissingFlags(nn.Module):
    """The missing flags of those numbers that some training row lacked."""

    flagged: Tensor

    def __init__(self, numbers: tuple[NumberInput, ...]) -> None:
        super().__init__()
        flagged = torch.tensor([number.has_missing for number in numbers], dtype=torch.bool).nonzero().flatten()
        self.register_buffer("flagged", flagged, persistent=False)
        self.width = len(flagged)

    def forward(self, missing_BN: Tensor) -> Tensor:
        """Return the flags, shape (rows, width)."""
        return missing_BN[:, self.flagged]


def _bins(numbers: tuple[NumberInput, ...]) -> tuple[Tensor, Tensor]:
    """Return each bin's left edge and 1 / width in the scaled unit; bins that a number lacks have slope 0."""
    bins = max((len(number.edges) - 1 for number in numbers), default=0)
    left_NK = torch.zeros(len(numbers), bins)
    slope_NK = torch.zeros_like(left_NK)
    for index, number in enumerate(numbers):
        # Edges that differ in float64 alone would make bins of width 0.
        edges = torch.tensor(number.edges, dtype=torch.float64).float().unique()
        left_NK[index, : len(edges) - 1] = edges[:-1]
        slope_NK[index, : len(edges) - 1] = (1 / edges.diff()).clamp(max=LARGEST)
    return left_NK, slope_NK


def _embedding(codes: int, most: int) -> nn.Embedding:
    table = nn.Embedding(codes, _width(codes, most))
    nn.init.normal_(table.weight, std=0.1)
    return table


def _width(codes: int, most: int) -> int:
    return min(most, round(1.6 * math.pow(codes, 0.56)))
