"""Rows that are picked are those that Arrow picks."""

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.preprocess.picking import pick_parts, pick_rows

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


def test_parts_are_picked_as_each_would_be_alone() -> None:
    parts = [np.array(places, dtype=np.int64) for places in ([1, 3, 20], [], [0, 34])]
    together = pick_parts(BATCH, parts)
    assert [part.to_pylist() for part in together] == [pick_rows(BATCH, places).to_pylist() for places in parts]
