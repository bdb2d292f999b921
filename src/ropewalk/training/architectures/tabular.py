"""The default network for tables: piecewise-linear number embeddings and category embeddings before an MLP."""

import torch
from torch import Tensor, nn

from ropewalk.training.architectures.inputs import CategoryEmbeddings, MissingFlags, PiecewiseLinearEmbeddings
from ropewalk.training.architectures.layers import hidden_layers
from ropewalk.training.architectures.schema import Schema
from ropewalk.training.config import TrainingConfig


class TabularNetwork(nn.Module):
    """Maps encoded rows to a logit per class (multiclass), one logit (binary) or one scaled value (regression)."""

    def __init__(self, schema: Schema, config: TrainingConfig) -> None:
        super().__init__()
        self.numbers = PiecewiseLinearEmbeddings(schema.numbers, config.number_embedding)
        self.flags = MissingFlags(schema.numbers)
        self.categories = CategoryEmbeddings(
            schema.categories, most=config.category_embedding, unknown_rate=config.unknown_rate
        )
        inputs = self.numbers.width + self.flags.width + self.categories.width
        self.layers = hidden_layers(inputs, schema.outputs, config)

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs)."""
        inputs = [self.numbers(numbers_BN), self.flags(missing_BN), self.categories(codes_BC)]
        return self.layers(torch.cat(inputs, dim=1))  # type: ignore[no-any-return]
