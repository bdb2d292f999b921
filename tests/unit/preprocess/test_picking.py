"""Rows that are picked are those that Arrow picks."""

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.preprocess.picking import pick_rows, present_numbers

BATCH = pa.record_batch(
    {
        "number": pa.array([1.5, None, -0.0, None, 5.0] * 7),
        "whole": pa.array(range(35), pa.int64()),
        "narrow": pa.array([None, 2, 3, 4, 5] * 7, pa.int32()),
        "moment": pa.array([1, None, 3, 4, 5] * 7, pa.timestamp("us", "UTC")),
        "text": pa.array(["a", None, "é", "", "a"] * 7),
        "encoded": pa.array(["a", None, "é", "", "a"] * 7).dictionary_encode(),
        "flag": pa.array([True, None, False, True, None] * 7),
        "nested": pa.array([[1], None, [], [2, 3], None] * 7),
        "nothing": pa.array([None] * 35, pa.float64()),
    }
)


@pytest.mark.parametrize("first", [0, 3, 9])
@pytest.mark.parametrize("places", [[], [0], [1, 3, 20], list(range(26))])
def test_picked_rows_are_those_at_the_places(first: int, places: list[int]) -> None:
    batch = BATCH.slice(first)
    picked = pick_rows(batch, np.array(places, dtype=np.int64))
    picked.validate(full=True)
    assert picked.schema == batch.schema
    assert picked.to_pylist() == [batch.to_pylist()[place] for place in places]


@pytest.mark.parametrize("name", ["number", "nothing"])
def test_present_numbers_are_those_that_are_not_null(name: str) -> None:
    numbers = BATCH.column(name).slice(3, 20)
    assert present_numbers(numbers).tolist() == numbers.drop_null().to_pylist()
