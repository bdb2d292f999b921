"""Networks that were tried for the default and did not become it, as `module:function` architectures.

`accuracy.py` trains them by `architecture: accuracy_candidates:<function>`; each has the embeddings of the default.
Shape suffixes: B rows, I inputs, K members, F fields, D dimensions.
"""

import itertools
import math

import torch
from torch import Tensor, nn

from ropewalk.training.architectures.inputs import CategoryEmbeddings, MissingFlags, PiecewiseLinearEmbeddings
from ropewalk.training.architectures.schema import Schema

WIDTH, DEPTH, DROPOUT, DIMENSIONS, UNKNOWN_RATE = 256, 3, 0.2, 8, 0.1


class Inputs(nn.Module):
    """Embedded numbers, missing flags and embedded categories, side by side."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.numbers = PiecewiseLinearEmbeddings(schema.numbers, DIMENSIONS)
        self.flags = MissingFlags(schema.numbers)
        self.categories = CategoryEmbeddings(schema.categories, most=DIMENSIONS, unknown_rate=UNKNOWN_RATE)
        self.widths = [DIMENSIONS] * len(schema.numbers) + [1] * self.flags.width
        self.widths += [table.embedding_dim for table in self.categories.tables]

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the embeddings, shape (rows, sum of widths)."""
        parts = [self.numbers(numbers_BN), self.flags(missing_BN), self.categories(codes_BC)]
        return torch.cat(parts, dim=1)


def hidden(inputs: int, outputs: int, activation: type[nn.Module], *, normed: bool = False) -> nn.Sequential:
    """Return hidden layers and the output layer."""
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        layers += [nn.Linear(inputs, WIDTH), *([nn.LayerNorm(WIDTH)] if normed else [])]
        layers += [activation(), nn.Dropout(DROPOUT)]
        inputs = WIDTH
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class Plain(nn.Module):
    """The default with another activation or with layer normalisation."""

    def __init__(self, schema: Schema, activation: type[nn.Module], *, normed: bool = False) -> None:
        super().__init__()
        self.inputs = Inputs(schema)
        self.layers = hidden(sum(self.inputs.widths), schema.outputs, activation, normed=normed)

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs) or (rows, members, outputs)."""
        return self.layers(self.inputs(numbers_BN, missing_BN, codes_BC))


def silu(schema: Schema) -> nn.Module:
    """Return the default with SiLU in place of ReLU."""
    return Plain(schema, nn.SiLU)


def layer_norm(schema: Schema) -> nn.Module:
    """Return the default with layer normalisation."""
    return Plain(schema, nn.ReLU, normed=True)


class TextbookMlp(nn.Module):
    """Scaled numbers and category embeddings into two hidden layers without dropout: what tutorials begin with."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.categories = CategoryEmbeddings(schema.categories, most=16, unknown_rate=0.0)
        inputs = len(schema.numbers) + self.categories.width
        self.layers = nn.Sequential(
            nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, schema.outputs)
        )

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs)."""
        # Beyond any number of these tables; a network without a bound cannot take the infinities that others may hold.
        return self.layers(torch.cat([numbers_BN.clamp(-100, 100), self.categories(codes_BC)], dim=1))


def textbook_mlp(schema: Schema) -> nn.Module:
    """Return two hidden layers of 256 units."""
    return TextbookMlp(schema)


class LowRankCross(nn.Module):
    """Two cross layers of rank 32 before the hidden layers: DCN-v2 (Wang et al., WWW 2021, arXiv 2008.13535)."""

    def __init__(self, schema: Schema, rank: int = 32, layers: int = 2) -> None:
        super().__init__()
        self.inputs = Inputs(schema)
        width = sum(self.inputs.widths)
        self.down = nn.ModuleList(nn.Linear(width, rank, bias=False) for _ in range(layers))
        self.up = nn.ModuleList(nn.Linear(rank, width) for _ in range(layers))
        for layer in self.up:
            nn.init.zeros_(layer.weight)
        self.layers = hidden(width, schema.outputs, nn.ReLU)

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs) or (rows, members, outputs)."""
        first_BI = crossed_BI = self.inputs(numbers_BN, missing_BN, codes_BC)
        for down, up in zip(self.down, self.up, strict=True):
            crossed_BI = first_BI * up(down(crossed_BI)) + crossed_BI
        return self.layers(crossed_BI)


def low_rank_cross(schema: Schema) -> nn.Module:
    """Return the default behind two cross layers."""
    return LowRankCross(schema)


class FieldProducts(nn.Module):
    """Inner products of all pairs of fields beside the embeddings: Rendle's factorisation machines (ICDM 2010)."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.inputs = Inputs(schema)
        self.project = nn.ModuleList(nn.Linear(width, DIMENSIONS, bias=False) for width in self.inputs.widths)
        fields = len(self.inputs.widths)
        self.register_buffer("pairs", torch.triu_indices(fields, fields, 1), persistent=False)
        self.layers = hidden(sum(self.inputs.widths) + self.pairs.shape[1], schema.outputs, nn.ReLU)

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs) or (rows, members, outputs)."""
        inputs_BI = self.inputs(numbers_BN, missing_BN, codes_BC)
        parts = inputs_BI.split(self.inputs.widths, dim=1)
        fields_BFD = torch.stack([layer(part) for layer, part in zip(self.project, parts, strict=True)], dim=1)
        products_BFF = fields_BFD @ fields_BFD.transpose(1, 2)
        return self.layers(torch.cat([inputs_BI, products_BFF[:, self.pairs[0], self.pairs[1]]], dim=1))


def field_products(schema: Schema) -> nn.Module:
    """Return the default with products of fields."""
    return FieldProducts(schema)


class PackedEnsemble(nn.Module):
    """Members of half the width on shared embeddings, each with hidden layers of its own."""

    def __init__(self, schema: Schema, members: int, width: int) -> None:
        super().__init__()
        self.inputs = Inputs(schema)
        sizes = [sum(self.inputs.widths), *[width] * DEPTH, schema.outputs]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in itertools.pairwise(sizes):
            bound = 1 / math.sqrt(inputs)
            self.weights.append(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
            self.biases.append(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs) or (rows, members, outputs)."""
        hidden_KBI = self.inputs(numbers_BN, missing_BN, codes_BC).expand(len(self.weights[0]), -1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden_KBI = torch.baddbmm(bias, hidden_KBI, weight).relu()
            hidden_KBI = nn.functional.dropout(hidden_KBI, DROPOUT, self.training)
        return torch.baddbmm(self.biases[-1], hidden_KBI, self.weights[-1]).transpose(0, 1)


def packed_ensemble(schema: Schema) -> nn.Module:
    """Return an ensemble of 4 members of 128 units."""
    return PackedEnsemble(schema, members=4, width=128)


class TabM(nn.Module):
    """TabM (Gorishniy et al., ICLR 2025, arXiv 2410.24210): members share weights but for scales of each unit.

    As recommended there, the first layer's input scales are random, one number per feature, and all others are 1.
    """

    def __init__(self, schema: Schema, members: int, width: int) -> None:
        super().__init__()
        self.inputs = Inputs(schema)
        widths = torch.tensor(self.inputs.widths)
        scales_KI = torch.randn(members, len(widths)).repeat_interleave(widths, dim=1)
        self.layers, self.scale_in = nn.ModuleList(), nn.ParameterList()
        self.scale_out, self.biases = nn.ParameterList(), nn.ParameterList()
        inputs = int(widths.sum())
        for _ in range(DEPTH):
            self.layers.append(nn.Linear(inputs, width, bias=False))
            self.scale_in.append(scales_KI)
            self.scale_out.append(torch.ones(members, width))
            bound = 1 / math.sqrt(inputs)
            self.biases.append(torch.empty(1, width).uniform_(-bound, bound).repeat(members, 1))
            inputs, scales_KI = width, torch.ones(members, width)
        bound = 1 / math.sqrt(width)
        self.last_KIO = nn.Parameter(torch.empty(members, width, schema.outputs).uniform_(-bound, bound))
        self.last_bias_KO = nn.Parameter(torch.empty(members, schema.outputs).uniform_(-bound, bound))

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs) or (rows, members, outputs)."""
        hidden_BKI = self.inputs(numbers_BN, missing_BN, codes_BC).unsqueeze(1)
        parts = zip(self.layers, self.scale_in, self.scale_out, self.biases, strict=True)
        for layer, scale_in, scale_out, bias in parts:
            hidden_BKI = (layer(hidden_BKI * scale_in) * scale_out + bias).relu()
            hidden_BKI = nn.functional.dropout(hidden_BKI, DROPOUT, self.training)
        return torch.einsum("bki,kio->bko", hidden_BKI, self.last_KIO) + self.last_bias_KO


def tabm_8(schema: Schema) -> nn.Module:
    """Return a TabM of 8 members of 128 units."""
    return TabM(schema, members=8, width=128)


def tabm_32(schema: Schema) -> nn.Module:
    """Return a TabM of 32 members of 256 units, as in the paper."""
    return TabM(schema, members=32, width=256)
