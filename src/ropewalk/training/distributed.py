"""Several processes that train one model, as torchrun starts them; one process is a group of one.

Every process passes over the same permutation and takes its share of each batch, so the batch size, the steps and the
model are those of one process, and only rounding and dropout differ.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor

from ropewalk.errors import TrainingError

_PATIENCE = timedelta(minutes=10)


def local_rank() -> int:
    """Return this process's number on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def rank() -> int:
    """Return this process's number among all, from 0."""
    return int(os.environ.get("RANK", "0")) if _world() > 1 else 0


def process_seed(seed: int, rank: int) -> int:
    """Return the seed of a process's dropout: the processes must not leave out the same units."""
    return seed if rank == 0 else int(np.random.SeedSequence((seed, rank)).generate_state(1)[0])


@contextmanager
def process_group(device: torch.device) -> Iterator["Group"]:
    """Yield the group that this process belongs to: gloo between processors, nccl between GPUs.

    Raises:
        TrainingError: The environment names other processes, but not where they meet.
    """
    if _world() == 1:
        yield Group(rank=0, world=1)
        return
    import torch.distributed as dist

    if "MASTER_ADDR" not in os.environ:
        raise TrainingError(
            f"WORLD_SIZE={_world()} names several processes, but MASTER_ADDR does not say where they meet. Start them "
            "with torchrun, or unset WORLD_SIZE to train in one process."
        )
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    yield Group(rank=rank(), world=_world())
    # Not after a failure: its message must be out before the others find that this process has gone.
    dist.destroy_process_group()


@dataclass(frozen=True)
class Group:
    """What the processes do together. All must call the same methods in the same order."""

    rank: int
    """This process's number, from 0. Rank 0 writes and speaks for all."""
    world: int
    """How many processes there are."""

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's rows of a batch; sizes differ by one at most."""
        return batch.tensor_split(self.world)[self.rank] if self.world > 1 else batch

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in one exchange."""
        if self.world == 1:
            return
        import torch.distributed as dist

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self._others_may_fail():
            dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, wishes: Sequence[bool]) -> list[bool]:
        """Return, per wish, whether some process has it."""
        if self.world == 1:
            return list(wishes)
        import torch.distributed as dist

        raised = torch.tensor(wishes, dtype=torch.uint8)
        with self._others_may_fail():
            dist.all_reduce(raised, op=dist.ReduceOp.MAX)
        return [bool(wish) for wish in raised]

    def leaders(self, content: bytes) -> bytes:
        """Return rank 0's `content`."""
        if self.world == 1:
            return content
        import torch.distributed as dist

        size = torch.tensor([len(content)])
        with self._others_may_fail():
            dist.broadcast(size, src=0)
            received = torch.empty(int(size), dtype=torch.uint8)
            if self.leads:
                received = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else received
            dist.broadcast(received, src=0)
        return received.numpy().tobytes()

    def collect(self, tensor: Tensor) -> list[Tensor]:
        """Return every process's `tensor`, by rank; it is in main memory and of one shape everywhere."""
        if self.world == 1:
            return [tensor]
        import torch.distributed as dist

        received = [torch.empty_like(tensor) for _ in range(self.world)]
        with self._others_may_fail():
            dist.all_gather(received, tensor)
        return received

    @contextmanager
    def _others_may_fail(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise TrainingError(
                f"Process {self.rank} of {self.world} cannot go on: another one has gone or does not answer. What went "
                f"wrong is in that one's log, before this line. ({str(error).splitlines()[0]})"
            ) from None


ALONE = Group(rank=0, world=1)
"""The group of one process."""


def _world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))
