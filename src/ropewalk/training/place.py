"""Where training stands besides its tensors: the place in its epochs, and each process's random numbers."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ropewalk.training.distributed import Group


@dataclass
class Place:
    """Where training stands."""

    epoch: int = 1
    """The epoch at hand."""
    step: int = 0
    """Steps done in it."""
    done: int = 0
    """Steps done in all."""
    seconds: float = 0.0
    """Time that earlier attempts took, up to the checkpoint that this one began with."""
    best_epoch: int = 0
    best_key: list[float] = field(default_factory=list)


def random_states(device: torch.device, group: Group) -> dict[str, Tensor]:
    """Return every process's states of what draws random numbers on its processor and on `device`, by name."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return {
        f"random.{kind}.{rank}": state.clone()
        for kind, own in states.items()
        for rank, state in enumerate(group.collect(own))
    }


def restore_random_states(tensors: dict[str, Tensor], device: torch.device, group: Group) -> None:
    """Take over this process's states among what `random_states` gave; those of a process that was not there stay."""
    if f"random.cpu.{group.rank}" in tensors:
        torch.set_rng_state(tensors[f"random.cpu.{group.rank}"])
    if f"random.cuda.{group.rank}" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors[f"random.cuda.{group.rank}"], device)


def copied(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor in main memory."""
    return tensor.detach().cpu().clone().contiguous()
