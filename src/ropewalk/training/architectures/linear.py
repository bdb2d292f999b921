"""A linear model: one weight per number, missing flag and category."""

import torch
from torch import Tensor, nn

from ropewalk.training.architectures.inputs import PlainNumbers, forget_some
from ropewalk.training.architectures.schema import Schema
from ropewalk.training.config import TrainingConfig

_STEP = 10.0
"""Factor on all weights: AdamW moves a parameter by about the learning rate per step, and a network's rate is small."""


class LinearModel(nn.Module):
    """Logistic, softmax or linear regression on encoded rows; all weights start at 0."""

    def __init__(self, schema: Schema, config: TrainingConfig) -> None:
        super().__init__()
        self.unknown_rate = config.unknown_rate
        self.numbers = PlainNumbers(schema)
        self.weight = nn.Parameter(torch.empty(self.numbers.width, schema.outputs))
        self.bias = nn.Parameter(torch.empty(schema.outputs))
        self.categories = nn.ModuleList(nn.Embedding(category.codes, schema.outputs) for category in schema.categories)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        """Return the outputs, shape (rows, outputs)."""
        outputs = torch.addmm(self.bias, self.numbers(numbers_BN, missing_BN), self.weight)
        codes_BC = forget_some(codes_BC, self.unknown_rate if self.training else 0.0)
        for index, weights in enumerate(self.categories):
            outputs = outputs + weights(codes_BC[:, index])
        return _STEP * outputs
