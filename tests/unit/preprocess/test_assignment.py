"""Which split a row falls into."""

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.errors import DataError
from ropewalk.preprocess.assignment import ByColumn, ByHash, ByTime, check_filled
from ropewalk.preprocess.config import PreprocessConfig

CONFIG = PreprocessConfig(validation_fraction=0.2, test_fraction=0.1)


def batch(**columns) -> pa.RecordBatch:
    arrays = [column if isinstance(column, pa.Array) else pa.array(column) for column in columns.values()]
    encoded = [array.dictionary_encode() if pa.types.is_string(array.type) else array for array in arrays]
    return pa.record_batch(encoded, names=list(columns))


def by_hash(rows: pa.RecordBatch) -> np.ndarray:
    return ByHash(rows.schema.names, CONFIG).assign(rows)


def by_time(times: pa.Array) -> np.ndarray:
    return ByTime("t", pa.chunked_array([times]), CONFIG).assign(batch(t=times))


@pytest.mark.parametrize(
    "keys",
    [
        {"id": range(50_000)},
        {"id": [f"user-{index}" for index in range(50_000)]},
        {"a": np.arange(50_000) // 200, "b": np.arange(50_000) % 200 / 3},
        {"when": pa.array(np.arange(50_000) * 86_400_000_000, pa.timestamp("us"))},
    ],
    ids=["integers", "text", "two columns", "days"],
)
def test_a_hash_split_meets_its_shares(keys: dict) -> None:
    shares = np.bincount(by_hash(batch(**keys))) / 50_000
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.01)


def test_no_row_moves_when_rows_are_added_or_reordered() -> None:
    ids, texts = list(range(1000)), [None if index % 7 == 0 else f"t{index}" for index in range(1000)]
    before = by_hash(batch(id=ids, text=texts))
    more = by_hash(batch(id=[*range(5000, 6000), *ids[::-1]], text=["new"] * 1000 + texts[::-1]))
    assert (more[1000:][::-1] == before).all()


def test_no_row_moves_when_columns_swap_or_whole_numbers_meet_fractions() -> None:
    ids, sizes = list(range(1000)), [index % 13 for index in range(1000)]
    before = by_hash(batch(id=ids, size=sizes))
    after = by_hash(batch(size=[*map(float, sizes), 0.5], id=[*ids, 1000]))
    assert (after[:1000] == before).all()


def test_equal_rows_fall_together_whatever_batch_they_are_in() -> None:
    rows = {"x": [0.0, -0.0, None, 2.0], "city": ["Zoë", "Zoë", None, ""]}
    whole = by_hash(batch(**rows))
    single = [by_hash(batch(x=[rows["x"][row]], city=pa.array([rows["city"][row]], pa.string())))[0] for row in (0, 3)]
    assert whole[0] == whole[1] == single[0]
    assert whole[3] == single[1]


def test_a_time_split_trains_on_the_oldest_rows_and_tests_on_the_latest() -> None:
    times = np.random.default_rng(0).permutation(1000)
    assigned = by_time(pa.array(times))
    assert np.bincount(assigned).tolist() == [700, 200, 100]
    assert times[assigned == 0].max() < times[assigned == 1].min()
    assert times[assigned == 1].max() < times[assigned == 2].min()


def test_rows_of_one_moment_stay_together() -> None:
    times = pa.array([1] * 50 + [2] * 45 + [3] * 5)
    assert {(int(time), int(split)) for time, split in zip(times.to_pylist(), by_time(times), strict=True)} == {
        (1, 0),
        (2, 0),
        (3, 2),
    }


@pytest.mark.parametrize("kind", [pa.string(), pa.timestamp("us"), pa.timestamp("us", "UTC")])
def test_dates_are_ordered_as_text_or_as_points_in_time(kind: pa.DataType) -> None:
    zone = "Z" if getattr(kind, "tz", None) else ""
    dates = pa.array([f"2024-{month:02}-01T00:00:00{zone}" for month in range(10, 0, -1)]).cast(kind)
    assert by_time(dates).tolist() == [2, 1, 1, 0, 0, 0, 0, 0, 0, 0]


def test_a_column_names_the_split() -> None:
    rows = batch(part=["test", "train", "validation"])
    assert ByColumn("part").assign(rows).tolist() == [2, 0, 1]
    with pytest.raises(DataError, match=r"split column 'part' holds 'dev': every row needs one of train, validation"):
        ByColumn("part").assign(batch(part=["train", "dev"]))
    with pytest.raises(DataError, match="holds None"):
        ByColumn("part").assign(batch(part=["train", None]))


def test_an_empty_split_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="No rows are left for validation out of 3: do this"):
        check_filled(np.array([2, 0, 1]), "do this")
