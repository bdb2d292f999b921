"""What is gathered in bounded memory is exact where it can be, and close where it cannot."""

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.preprocess.statistics import (
    CategoryCounts,
    DistinctCount,
    NumberStatistics,
    RowSample,
    distinct_prints,
)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_parts_merge_to_the_statistics_of_the_whole(offset: float) -> None:
    values = np.random.default_rng(0).normal(offset, 3, 10_001)
    merged = NumberStatistics()
    for part in np.array_split(values, [0, 1, 500, 9000]):
        merged.merge(NumberStatistics.of(pa.array(part)))
    assert (merged.count, merged.low, merged.high) == (len(values), values.min(), values.max())
    assert merged.mean == pytest.approx(values.mean(), rel=1e-14)
    assert merged.deviation == pytest.approx(values.std(), rel=1e-9)


@pytest.mark.parametrize(("distinct", "error"), [(100, 0), (16_000, 0), (300_000, 0.03)])
def test_distinct_values_are_counted_however_often_they_occur(distinct: int, error: float) -> None:
    counted = DistinctCount()
    for _ in range(2):
        for values in np.array_split(np.arange(distinct), 7):
            counted.add(distinct_prints(pa.array(map(str, values), pa.string())))
    assert counted.count == pytest.approx(distinct, rel=error)


def test_lossy_counts_keep_every_frequent_category_and_say_how_far_off_they_are() -> None:
    random = np.random.default_rng(0)
    frequent = np.repeat(np.arange(50), 400)
    rare = np.arange(1000, 200_000)
    values = random.permutation(np.concatenate([frequent, rare]))
    forgotten: list[pa.Array] = []
    counts = CategoryCounts(100, lossy=True, forget=forgotten.append)
    for part in np.array_split(values, 40):
        counts.add(pa.array(part.astype(float)))
    assert set(counts.most_frequent(at_least=300)) == set(map(float, range(50)))
    assert 0 < counts.forgotten < 100
    assert len(forgotten) > 0


def test_exact_counts_stop_above_the_limit_and_hand_over_what_they_knew() -> None:
    known: list[str] = []
    counts = CategoryCounts(3, lossy=False, forget=lambda values: known.extend(values.to_pylist()))
    counts.add(pa.array(["a", "b", None, "a"]).dictionary_encode())
    assert (counts.distinct, counts.stopped) == (2, False)
    counts.add(pa.array(["c", "d"]).dictionary_encode())
    assert (counts.distinct, counts.stopped) == (0, True)
    assert sorted(known) == ["a", "b", "c", "d"]


def test_places_in_a_dictionary_that_batches_share_are_counted_as_the_texts_themselves() -> None:
    random = np.random.default_rng(0)
    texts = pa.array([f"text {value}" for value in random.integers(0, 50, 3000)]).dictionary_encode()
    others = pa.array([f"text {value}" for value in random.integers(25, 75, 3000)]).dictionary_encode()
    whole, parts = (CategoryCounts(100, lossy=False, forget=lambda values: None) for _ in range(2))
    for column in (texts, others):
        whole.add(column.dictionary_decode().cast(pa.string()).dictionary_encode())
        for first in range(0, len(column), 700):
            parts.add(column.slice(first, 700))
    assert parts.distinct == whole.distinct == 75
    assert parts.most_frequent(at_least=1) == whole.most_frequent(at_least=1)


def test_counts_that_stop_hand_over_what_comes_with_the_batch_that_stopped_them() -> None:
    known: list[str] = []
    counts = CategoryCounts(3, lossy=False, forget=lambda values: known.extend(values.to_pylist()))
    for texts in (["a", "b", "c", "d"], ["e", "f"], ["g"]):
        counts.add(pa.array(texts).dictionary_encode())
    assert (counts.distinct, counts.stopped) == (0, True)
    assert set("abcdef") <= set(known)


def test_a_sample_is_of_the_same_rows_and_in_few_pieces_whatever_the_batches() -> None:
    rows = pa.record_batch({"place": np.arange(200_000), "text": pa.array(map(str, range(200_000)))})
    found = []
    for size in (500, 65_536):
        sample = RowSample(40_000)
        for first in range(0, rows.num_rows, size):
            sample.add(rows.slice(first, size))
        pieces = sample.column("place")
        assert 20_000 <= sum(map(len, pieces)) <= 40_000
        assert sum(len(piece) for piece in pieces if len(piece) < 2**13) < 2**13
        found.append(np.concatenate(pieces))
        assert [text for texts in sample.column("text") for text in texts.to_pylist()] == list(map(str, found[-1]))
    assert np.array_equal(*found)
