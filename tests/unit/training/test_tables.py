"""A table gives each row once per epoch, whether it is in memory or streamed, and any place is found again."""

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ropewalk.preprocess.preprocessor import load_preprocessor
from ropewalk.training.config import TrainingConfig
from ropewalk.training.distributed import Group
from ropewalk.training.labels import Labels
from ropewalk.training.parts import Parts
from ropewalk.training.tables import MemoryTable, StreamedTable, Table, batch_sizes, batches, load_table, steps_in

CPU = torch.device("cpu")
BATCH = 64


@pytest.fixture(scope="module")
def parts(prepared, regrouped) -> Parts:
    folder = prepared("regression")
    return Parts(regrouped(folder / "train", 60), load_preprocessor(folder / "preprocessor"))


@pytest.fixture(scope="module")
def labels(parts: Parts) -> Labels:
    return parts.learn_labels(TrainingConfig())


@pytest.fixture(params=["memory", "streamed"])
def table(request, parts: Parts, labels: Labels) -> Table:
    if request.param == "memory":
        return load_table(parts, labels, CPU)
    return StreamedTable(parts, labels, device=CPU, seed=0, shuffle_rows=200)


def targets(table: Table, *, epoch: int = 1, first: int = 0, seed: int = 0) -> list[np.ndarray]:
    steps = batches(table, seed=seed, epoch=epoch, batch_size=BATCH, first=first, device=CPU)
    return [rows.target[share].numpy() for rows, share, _ in steps]


def stored(parts: Parts, labels: Labels) -> np.ndarray:
    return parts.read(range(len(parts.sizes)), labels).target.numpy()


def test_each_row_comes_once_per_epoch(table: Table, parts: Parts, labels: Labels) -> None:
    steps = targets(table)
    assert [len(step) for step in steps] == batch_sizes(table, epoch=1, batch_size=BATCH)
    assert len(steps) == steps_in(table, 1, BATCH)
    np.testing.assert_array_equal(np.sort(np.concatenate(steps)), np.sort(stored(parts, labels)))
    assert len(np.unique(np.concatenate(steps))) == len(parts)


def test_epochs_and_seeds_have_orders_of_their_own(table: Table, parts: Parts, labels: Labels) -> None:
    orders = [targets(table), targets(table, epoch=2), targets(table, seed=1)]
    orders.append([stored(parts, labels)])
    flat = [np.concatenate(order) for order in orders]
    assert all((flat[one] != flat[two]).mean() > 0.9 for one in range(4) for two in range(one))


def test_any_step_of_an_epoch_is_found_again(table: Table) -> None:
    whole = targets(table, epoch=3)
    for first in (1, 3, 4, 7, len(whole) - 1, len(whole)):
        rest = targets(table, epoch=3, first=first)
        assert len(rest) == len(whole) - first
        for one, two in zip(rest, whole[first:], strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("first", "last"), [(0, 10**9), (0, 60), (59, 61), (70, 71), (100, 333)])
def test_rows_in_order_are_as_stored(table: Table, parts: Parts, labels: Labels, first: int, last: int) -> None:
    found = np.concatenate([rows.target.numpy() for rows in table.in_order(first, min(last, len(parts)))])
    np.testing.assert_array_equal(found, stored(parts, labels)[first:last])


def test_a_row_keeps_its_numbers_categories_and_target_together(table: Table, parts: Parts, labels: Labels) -> None:
    whole = parts.read(range(len(parts.sizes)), labels)
    by_target = {float(value): index for index, value in enumerate(whole.target)}
    for rows, batch, _ in batches(table, seed=0, epoch=1, batch_size=BATCH, first=0, device=CPU):
        places = [by_target[float(value)] for value in rows.target[batch]]
        for found, expected in zip(rows.inputs, whole.inputs, strict=True):
            assert torch.equal(found[batch], expected[places])


def test_a_streamed_epoch_has_row_groups_in_a_new_order(parts: Parts, labels: Labels) -> None:
    streamed = StreamedTable(parts, labels, device=CPU, seed=0, shuffle_rows=200)
    assert max(streamed.sizes(1)) <= 200
    assert streamed.sizes(1) != streamed.sizes(2)
    # A shard takes row groups from all over the table: its targets are no run of the stored ones.
    first = set(targets(streamed)[0].tolist())
    places = [place for place, value in enumerate(stored(parts, labels)) if value in first]
    assert max(places) - min(places) > 300


def test_a_row_group_larger_than_the_buffer_is_a_shard_of_its_own(parts: Parts, labels: Labels) -> None:
    streamed = StreamedTable(parts, labels, device=CPU, seed=0, shuffle_rows=1)
    assert sorted(streamed.sizes(1)) == sorted(parts.sizes)


def test_the_target_is_scaled_by_the_mean_and_deviation_of_all_row_groups(parts: Parts, labels: Labels) -> None:
    values = stored(parts, labels) * labels.scaling.scale + labels.scaling.center
    assert labels.scaling.center == pytest.approx(values.mean(), rel=1e-6)
    assert labels.scaling.scale == pytest.approx(values.std(), rel=1e-6)


def _traced_peak(table: StreamedTable, epoch: int) -> int:
    """Return the most bytes that Python held during one epoch, beyond what it held before."""
    gc.collect()
    tracemalloc.start()
    try:
        for _ in batches(table, seed=0, epoch=epoch, batch_size=BATCH, first=0, device=CPU):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_a_streamed_table_does_not_grow_with_its_rows(prepared, regrouped) -> None:
    peaks, groups = [], []
    for rows in (6000, 24000):
        folder = prepared("regression", rows)
        found = Parts(regrouped(folder / "train", 500), load_preprocessor(folder / "preprocessor"))
        streamed = StreamedTable(found, found.learn_labels(TrainingConfig()), device=CPU, seed=0, shuffle_rows=1000)
        for _ in targets(streamed, epoch=1):
            pass
        # The least of several: what else the process does in the meantime can only add to it.
        peaks.append(min(_traced_peak(streamed, epoch) for epoch in (2, 3, 4)))
        groups.append(len(found.sizes))
    assert groups[1] > 3 * groups[0]
    # Each row group is known by its place and size; its 500 rows would take 10 kB.
    assert peaks[1] - peaks[0] < 1000 * (groups[1] - groups[0])


@pytest.mark.parametrize(("world", "shuffle_rows"), [(2, 200), (3, 500), (4, 100)])
def test_processes_share_the_reading_and_the_batches_of_one(
    world: int, shuffle_rows: int, parts: Parts, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = Parts.read
    monkeypatch.setattr(Parts, "read", lambda self, groups, own: read.extend(groups) or original(self, groups, own))
    settings = {"device": CPU, "seed": 0, "shuffle_rows": shuffle_rows}
    steps = {"seed": 0, "epoch": 3, "batch_size": BATCH, "first": 2, "device": CPU}
    alone = [
        (rows.target[share].numpy(), count)
        for rows, share, count in batches(StreamedTable(parts, labels, **settings), **steps)
    ]
    whole = sorted(read)
    read.clear()
    found = []
    for rank in range(world):
        group = Group(rank=rank, world=world)
        table = StreamedTable(parts, labels, **settings, group=group)
        found.append([(rows.target[share].numpy(), n) for rows, share, n in batches(table, **steps, group=group)])
    assert [len(each) for each in found] == [len(alone)] * world
    for (expected, rows), *shares in zip(alone, *found, strict=True):
        assert [count for _, count in shares] == [rows] * world
        np.testing.assert_array_equal(np.sort(np.concatenate([share for share, _ in shares])), np.sort(expected))
    assert sorted(set(read)) == whole
    # Where a shard has as many row groups as there are processes, none is read twice; the last shard may have fewer.
    if shuffle_rows >= 60 * world:
        assert len(read) < len(whole) + world


def test_an_epoch_that_is_left_early_ends_its_reader(parts: Parts, labels: Labels, threads: Callable[[], int]) -> None:
    streamed = StreamedTable(parts, labels, device=CPU, seed=0, shuffle_rows=100)
    before = threads()
    steps = batches(streamed, seed=0, epoch=1, batch_size=BATCH, first=0, device=CPU)
    next(steps)
    assert threads() > before
    steps.close()
    assert threads() == before


@pytest.fixture
def threads() -> Callable[[], int]:
    import threading

    return threading.active_count


def test_a_damaged_row_group_stops_the_epoch(prepared, regrouped, labels: Labels) -> None:
    folder = prepared("regression")
    found = Parts(regrouped(folder / "train", 60), load_preprocessor(folder / "preprocessor"))
    streamed = StreamedTable(found, labels, device=CPU, seed=0, shuffle_rows=100)
    path: Path = found._places[0][0]
    path.write_bytes(path.read_bytes()[:2000] + bytes(3000))
    with pytest.raises(OSError, match=r"."):
        targets(streamed)


def test_a_table_in_memory_is_one_shard(parts: Parts, labels: Labels) -> None:
    loaded = load_table(parts, labels, CPU)
    assert isinstance(loaded, MemoryTable)
    assert loaded.sizes(1) == [len(parts)]


@pytest.mark.parametrize("kind", ["memory", "streamed"])
def test_weights_stay_with_their_rows_and_are_1_on_average(prepared, regrouped, kind: str) -> None:
    folder = prepared("binary")
    found = Parts(regrouped(folder / "train", 60), load_preprocessor(folder / "preprocessor"))
    labels = found.learn_labels(TrainingConfig(class_weights="balanced"))
    weighed = (
        load_table(found, labels, CPU)
        if kind == "memory"
        else StreamedTable(found, labels, device=CPU, seed=0, shuffle_rows=200)
    )
    weights, targets_ = [], []
    for rows, batch, _ in batches(weighed, seed=0, epoch=1, batch_size=BATCH, first=0, device=CPU):
        assert rows.weight is not None
        weights.append(rows.weight[batch].numpy())
        targets_.append(rows.target[batch].numpy())
    weight, target = np.concatenate(weights), np.concatenate(targets_)
    assert weight.mean() == pytest.approx(1, abs=1e-5)
    assert weight[target == 0].sum() == pytest.approx(weight[target == 1].sum(), rel=1e-5)
    assert len(set(weight[target == 0])) == len(set(weight[target == 1])) == 1
