"""Where a table's rows are while a network learns from them: all on the device, or a few row groups at a time.

A table comes in shards. One that fits the device is one shard; a larger one is streamed from Parquet, its row groups in
a new order in each epoch, as many to a shard as hold `shuffle_rows` rows. Rows are shuffled inside their shard. All
orders follow from (seed, epoch, shard), so any place of any epoch is found again without a state.

Of several processes each reads some row groups of every shard, and takes the rows of a batch that are in them: the
batches are those of one process, and the reading is shared.
"""

import math
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ropewalk.training.distributed import ALONE, Group
from ropewalk.training.labels import Labels
from ropewalk.training.parts import Parts
from ropewalk.training.rows import Rows


class Table(Protocol):
    """Rows to learn from or to score."""

    def __len__(self) -> int: ...

    def sizes(self, epoch: int) -> list[int]:
        """Return how many rows each shard of this epoch has."""

    def shards(self, epoch: int, first: int = 0) -> Iterator[Rows]:
        """Yield the shards of this epoch from the one numbered `first` on; a shard is gone when the next one comes.

        What is yielded may have room for more rows than the shard has, and lack rows that other processes have.
        """

    def places(self, epoch: int, shard: int) -> Tensor | None:
        """Return where each row of a shard is among those yielded, -1 where another process has it (int64).

        None: all are there.
        """

    def in_order(self, first: int, last: int) -> Iterator[Rows]:
        """Yield the rows from `first` to before `last`, as they are stored."""


class MemoryTable:
    """A table that is on the device as a whole."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def sizes(self, epoch: int) -> list[int]:
        """Return the number of rows."""
        del epoch
        return [len(self._rows)]

    def shards(self, epoch: int, first: int = 0) -> Iterator[Rows]:
        """Yield all rows at once."""
        del epoch
        if first == 0:
            yield self._rows

    def places(self, epoch: int, shard: int) -> None:
        """Return None: all rows are there."""

    def in_order(self, first: int, last: int) -> Iterator[Rows]:
        """Yield the rows from `first` to before `last` at once."""
        yield Rows.of([each[first:last] for each in self._rows.tensors])


class StreamedTable:
    """A table that is read anew in each epoch, by a thread that is one shard ahead."""

    def __init__(
        self,
        parts: Parts,
        labels: Labels,
        *,
        device: torch.device,
        seed: int,
        shuffle_rows: int,
        group: Group = ALONE,
    ) -> None:
        self._parts = parts
        self._labels = labels
        self._device = device
        self._seed = seed
        self._shuffle_rows = shuffle_rows
        self._group = group
        self._buffer: Rows | None = None

    def __len__(self) -> int:
        return len(self._parts)

    def sizes(self, epoch: int) -> list[int]:
        """Return how many rows each shard of this epoch has."""
        return [sum(self._parts.sizes[group] for group in groups) for groups in self._plan(epoch)]

    def shards(self, epoch: int, first: int = 0) -> Iterator[Rows]:
        """Yield the shards of this epoch from the one numbered `first` on: of each the row groups of this process."""
        # Each process has a row at least, as all must take every step.
        return self._read([self._own(groups) or groups[:1] for groups in self._plan(epoch)[first:]])

    def places(self, epoch: int, shard: int) -> Tensor | None:
        """Return where each row of a shard is among those that this process reads, -1 where another one has it."""
        if self._group.world == 1:
            return None
        groups = self._plan(epoch)[shard]
        own, sizes = self._own(groups), self._parts.sizes
        starts = dict(zip(own, np.cumsum([0, *(sizes[group] for group in own)]).tolist(), strict=False))
        found = [
            torch.arange(sizes[group]) + starts[group] if group in starts else torch.full((sizes[group],), -1)
            for group in groups
        ]
        return torch.cat(found)

    def in_order(self, first: int, last: int) -> Iterator[Rows]:
        """Yield what the row groups have of the rows from `first` to before `last`; no others are read."""
        starts = np.cumsum([0, *self._parts.sizes]).tolist()
        wanted = {
            group: slice(max(first - start, 0), min(last, end) - start)
            for group, (start, end) in enumerate(pairwise(starts))
            if max(first, start) < min(last, end)
        }
        for inside, rows in zip(wanted.values(), self._read([[group] for group in wanted]), strict=True):
            yield Rows.of([each[inside] for each in rows.tensors])

    def _plan(self, epoch: int) -> list[list[int]]:
        """Return the row groups of each shard: whole groups, at least one, and no more rows than asked for."""
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._parts.sizes))
        shards: list[list[int]] = []
        rows = self._shuffle_rows
        for group in map(int, order):
            size = self._parts.sizes[group]
            if size == 0:
                continue
            if rows + size > self._shuffle_rows:
                shards.append([])
                rows = 0
            shards[-1].append(group)
            rows += size
        return shards

    def _own(self, groups: list[int]) -> list[int]:
        """Return the row groups of a shard that this process reads: the largest first, each to who has fewest rows."""
        rows = [0] * self._group.world
        own = set()
        for group in sorted(groups, key=lambda each: -self._parts.sizes[each]):
            process = rows.index(min(rows))
            rows[process] += self._parts.sizes[group]
            if process == self._group.rank:
                own.add(group)
        return [group for group in groups if group in own]

    def _read(self, shards: list[list[int]]) -> Iterator[Rows]:
        with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
            ahead = [reader.submit(self._load, groups) for groups in shards[:1]]
            for following in [*shards[1:], None]:
                if not ahead:
                    return
                rows = self._placed(ahead.pop().result())
                if following is not None:
                    ahead.append(reader.submit(self._load, following))
                yield rows

    def _load(self, groups: list[int]) -> Rows:
        rows = self._parts.read(groups, self._labels)
        if self._device.type != "cuda":
            return rows
        return Rows.of([tensor.pin_memory() for tensor in rows.tensors])

    def _placed(self, rows: Rows) -> Rows:
        """Return the rows on the device; on a GPU in a buffer that stays, because a captured step reads addresses."""
        if self._device.type != "cuda":
            return rows
        if self._buffer is None:
            self._buffer = _empty_like(rows, max(self._shuffle_rows, *self._parts.sizes), self._device)
        for place, tensor in zip(self._buffer.tensors, rows.tensors, strict=True):
            place[: len(tensor)].copy_(tensor, non_blocking=True)
        return self._buffer


def load_table(parts: Parts, labels: Labels, device: torch.device) -> MemoryTable:
    """Return a whole split on the device; main memory holds one row group of it at a time."""
    loaded: Rows | None = None
    start = 0
    for group in range(len(parts.sizes)):
        rows = parts.read([group], labels)
        if loaded is None and len(rows) == len(parts) and device.type == "cpu":
            return MemoryTable(rows)
        loaded = loaded or _empty_like(rows, len(parts), device)
        for place, tensor in zip(loaded.tensors, rows.tensors, strict=True):
            place[start : start + len(tensor)] = tensor
        start += len(rows)
    return MemoryTable(loaded if loaded is not None else parts.read([], labels))


def batches(
    table: Table,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    first: int,
    device: torch.device,
    group: Group = ALONE,
) -> Generator[tuple[Rows, Tensor, int], None, None]:
    """Yield (shard, indices into it of this process's rows, rows of all) per step of `epoch`, from step `first` on.

    Only a shard's last batch may have fewer rows than `batch_size`.
    """
    skipped, shard = first, 0
    sizes = table.sizes(epoch)
    while shard < len(sizes) and skipped >= math.ceil(sizes[shard] / batch_size):
        skipped -= math.ceil(sizes[shard] / batch_size)
        shard += 1
    for number, rows in enumerate(table.shards(epoch, shard), start=shard):
        order = permutation(sizes[number], (seed, epoch, number), device)[skipped * batch_size :]
        places = table.places(epoch, number)
        if places is None:
            for batch in order.split(batch_size):
                yield rows, group.share(batch), len(batch)
        else:
            for share, count in _shares(places.to(device)[order], batch_size):
                yield rows, share, count
        skipped = 0


def _shares(places: Tensor, batch_size: int) -> Iterator[tuple[Tensor, int]]:
    """Yield, per batch of `places`, those that are not -1, and how many there are of both."""
    is_own = places >= 0
    # The only wait for a GPU in a shard: how many rows of each batch are here.
    counts = torch.stack([part.sum() for part in is_own.split(batch_size)]).tolist() if len(places) else []
    for share, batch in zip(places[is_own].split(counts), places.split(batch_size), strict=False):
        yield share, len(batch)


def batch_sizes(table: Table, *, epoch: int, batch_size: int) -> list[int]:
    """Return how many rows each step of `epoch` has."""
    counts: list[int] = []
    for rows in table.sizes(epoch):
        whole, rest = divmod(rows, batch_size)
        counts += [batch_size] * whole + [rest] * (rest > 0)
    return counts


def steps_in(table: Table, epoch: int, batch_size: int) -> int:
    """Return how many steps `epoch` has."""
    return sum(math.ceil(rows / batch_size) for rows in table.sizes(epoch))


def permutation(rows: int, place: tuple[int, ...], device: torch.device) -> Tensor:
    """Return the order of a shard's rows: the same for the same (seed, epoch, shard) and kind of device."""
    generator = torch.Generator(device)
    generator.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1))
    return torch.randperm(rows, generator=generator, device=device)


def _empty_like(rows: Rows, count: int, device: torch.device) -> Rows:
    return Rows.of(
        [torch.empty((count, *tensor.shape[1:]), dtype=tensor.dtype, device=device) for tensor in rows.tensors]
    )
