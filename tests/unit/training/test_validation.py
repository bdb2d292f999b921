"""Several processes score what one would, each on rows of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from ropewalk.training.distributed import ALONE, Group
from ropewalk.training.rows import Rows
from ropewalk.training.tables import MemoryTable
from ropewalk.training.task import Task
from ropewalk.training.validation import Validation

ROWS = 101


class Meeting:
    """Where threads that stand for processes exchange what they have."""

    def __init__(self, world: int) -> None:
        self.barrier = threading.Barrier(world, timeout=60)
        self.places: list[object] = [None] * world

    def exchange(self, rank: int, content: object) -> list:
        self.places[rank] = content
        self.barrier.wait()
        found = list(self.places)
        self.barrier.wait()
        return found


@dataclass(frozen=True)
class Threads(Group):
    meeting: Meeting = field(default_factory=lambda: Meeting(1))

    def leaders(self, content: bytes) -> bytes:
        return self.meeting.exchange(self.rank, content)[0]

    def collect(self, tensor: Tensor) -> list[Tensor]:
        parts = self.meeting.exchange(self.rank, tensor)
        assert len({part.shape for part in parts}) == 1
        return parts


class Counting(nn.Module):
    """Adds up the numbers of a row, and notes how many rows it was given."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs, self.seen = outputs, 0

    def forward(self, numbers: Tensor, missing: Tensor, codes: Tensor) -> Tensor:
        self.seen += len(numbers)
        return numbers.cumsum(1)[:, : self.outputs]


def task_of(kind: str, *, rows: int = ROWS, weighted: bool = False) -> Task:
    random = torch.Generator().manual_seed(1)
    numbers = torch.randn((rows, 3), generator=random)
    empty = torch.zeros((rows, 0))
    target = {
        "binary": torch.arange(rows) % 2 == 0,
        "multiclass": torch.arange(rows) % 3,
        "regression": torch.randn(rows, generator=random),
    }[kind]
    target = target.float() if kind == "binary" else target
    weight = torch.rand(rows, generator=random) if weighted else None
    table = MemoryTable(Rows((numbers, empty, empty.int()), target, weight))
    return Task(kind=kind, train=table, validation=table, epochs=1, seed=0, scale=2.0, precision=torch.float32)


def scores(task: Task, world: int) -> tuple[list[tuple[float, float]], list[int]]:
    """Return loss and score of two epochs as each process knows them, and how many rows each has seen in one."""
    outputs = 3 if task.kind == "multiclass" else 1
    meeting = Meeting(world)
    networks = [Counting(outputs) for _ in range(world)]

    def work(rank: int) -> list[tuple[float, float]]:
        validation = Validation(task, Threads(rank=rank, world=world, meeting=meeting))
        return [validation.score(networks[rank]) for _ in range(2)]

    with ThreadPoolExecutor(world) as pool:
        found = list(pool.map(work, range(world)))
    return [pair for pairs in found for pair in pairs], [network.seen // 2 for network in networks]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("world", [2, 3, 8])
def test_processes_share_the_rows_and_find_what_one_finds(world: int, kind: str, weighted: bool) -> None:
    task = task_of(kind, weighted=weighted)
    alone = Validation(task, ALONE).score(Counting(3 if kind == "multiclass" else 1))
    found, seen = scores(task, world)
    assert sum(seen) == ROWS
    assert max(seen) - min(seen) <= 1
    for pair in found:
        assert pair == pytest.approx(alone, rel=1e-6)


def test_of_fewer_rows_than_processes_each_takes_all() -> None:
    task = task_of("regression", rows=3)
    found, seen = scores(task, 4)
    assert seen == [3] * 4
    assert found == [pytest.approx(Validation(task, ALONE).score(Counting(1)))] * 8
