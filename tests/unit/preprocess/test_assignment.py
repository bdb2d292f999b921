import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ropewalk.errors import DataError
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.splits import assign_by_hash, assign_by_time, check_splits

CONFIG = PreprocessConfig(validation_fraction=0.2, test_fraction=0.1)


@pytest.mark.parametrize(
    "keys",
    [
        pd.DataFrame({"id": range(50_000)}),
        pd.DataFrame({"id": [f"user-{index}" for index in range(50_000)]}),
        pd.DataFrame({"a": np.arange(50_000) // 200, "b": np.arange(50_000) % 200 / 3}),
    ],
    ids=["integers", "text", "two columns"],
)
def test_a_hash_split_meets_its_shares(keys: pd.DataFrame) -> None:
    shares = np.bincount(assign_by_hash(keys, CONFIG)) / len(keys)
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.01)


def test_no_row_moves_when_rows_are_added_or_reordered() -> None:
    keys = pd.DataFrame({"id": range(1000), "text": [None if index % 7 == 0 else f"t{index}" for index in range(1000)]})
    before = assign_by_hash(keys, CONFIG)
    more = pd.concat([pd.DataFrame({"id": range(5000, 6000), "text": "new"}), keys.iloc[::-1]], ignore_index=True)
    assert (assign_by_hash(more, CONFIG)[1000:][::-1] == before).all()


def test_a_time_split_trains_on_the_oldest_rows_and_tests_on_the_latest() -> None:
    times = np.random.default_rng(0).permutation(1000)
    assigned = assign_by_time(pa.chunked_array([times]), CONFIG)
    assert np.bincount(assigned).tolist() == [700, 200, 100]
    assert times[assigned == 0].max() < times[assigned == 1].min()
    assert times[assigned == 1].max() < times[assigned == 2].min()


def test_rows_of_one_moment_stay_together() -> None:
    times = pa.chunked_array([[1] * 50 + [2] * 45 + [3] * 5])
    assigned = assign_by_time(times, CONFIG)
    assert {(int(time), int(split)) for time, split in zip(times.to_pylist(), assigned, strict=True)} == {
        (1, 0),
        (2, 0),
        (3, 2),
    }


def test_dates_as_text_are_ordered() -> None:
    assigned = assign_by_time(pa.chunked_array([[f"2024-{month:02}-01" for month in range(10, 0, -1)]]), CONFIG)
    assert assigned.tolist() == [2, 1, 1, 0, 0, 0, 0, 0, 0, 0]


def test_an_empty_split_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="No rows are left for validation out of 3: do this"):
        check_splits(np.array([0, 0, 2]), "do this")
