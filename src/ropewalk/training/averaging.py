"""A moving average of the parameters: what is scored and kept."""

import copy

import torch
from torch import Tensor, nn

_PER_EPOCH = 64


class Average:
    """A copy of a network whose parameters average the network's over about the last epoch, over fewer at the start.

    Averages generalise better than the last step's parameters (Polyak and Juditsky 1992; Izmailov et al.,
    arXiv 1803.05407), and differ less from seed to seed. Neighbouring steps hardly differ, so the average takes in
    one of a few, about 64 per epoch, with the decay raised to that power.
    """

    def __init__(self, network: nn.Module, *, steps_per_epoch: int) -> None:
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False)
        """The averaged network."""
        self._every = max(1, steps_per_epoch // _PER_EPOCH)
        self._decay = (1 - 1 / steps_per_epoch) ** self._every
        self._source = network
        self._current: list[Tensor] = list(network.parameters())
        self._averaged: list[Tensor] = list(self.network.parameters())

    def update(self, done: int) -> None:
        """Take in the parameters after step `done` (from 1), where that step is one of those that count."""
        seen, rest = divmod(done, self._every)
        if rest == 0:
            decay = min(self._decay, seen / (9 + seen)) if seen > 1 else 0.0
            with torch.no_grad():
                torch._foreach_lerp_(self._averaged, self._current, 1 - decay)

    def copy_buffers(self) -> None:
        """Copy what the network measures rather than learns, such as a batch norm's running mean."""
        for averaged, current in zip(self.network.buffers(), self._source.buffers(), strict=True):
            averaged.copy_(current)
