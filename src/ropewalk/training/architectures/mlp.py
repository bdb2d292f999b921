"""A plain multilayer perceptron: numbers as they are, category embeddings, hidden layers."""

import torch
from torch import Tensor, nn

from ropewalk.training.architectures.inputs import CategoryEmbeddings, PlainNumbers
from ropewalk.training.architectures.layers import hidden_layers
from ropewalk.training.architectures.schema import Schema
from ropewalk.training.config import TrainingConfig


class PlainMlp(nn.Module):
    """Maps encoded rows to a logit per class (multiclass), one logit (binary) or one scaled value (regression)."""

    def __init__(self, schema: Schema, config: TrainingConfig) -> None:
        super().__init__()
        self.numbers = PlainNumbers(schema)
        self.categories = CategoryEmbeddings(
            schema.categories, most=config.category_embedding, unknown_rate=config.unknown_rate
        )
        self.layers = hidden_layers(self.numbers.width + self.categories.width, schema.outputs, config)

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs)."""
        inputs = [self.numbers(numbers_BN, missing_BN), self.categories(codes_BC)]
        return self.layers(torch.cat(inputs, dim=1))  # type: ignore[no-any-return]
