"""Layers: the hidden layers that architectures share."""

from torch import nn

from ropewalk.training.config import TrainingConfig


def hidden_layers(inputs: int, outputs: int, config: TrainingConfig) -> nn.Sequential:
    """Return `depth` hidden layers of `width` units, each with ReLU and dropout, and a linear output layer."""
    layers: list[nn.Module] = []
    for _ in range(config.depth):
        layers += [nn.Linear(inputs, config.width), nn.ReLU(), nn.Dropout(config.dropout)]
        inputs = config.width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
