"""Slices find where a model is bad, name it readably, and leave out what would be chance."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.evaluation.slices import slices
from ropewalk.preprocess.columns import Column
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.learning import learn_columns

RANDOM = np.random.default_rng(6)
ROWS = 2000
TRUTH = RANDOM.integers(0, 3, ROWS)
RIGHT = np.eye(3)[TRUTH] * 0.8 + 0.1


def columns_of(table: pa.Table) -> list[Column]:
    found = learn_columns(table.append_column("target", pa.array(TRUTH)), "target", PreprocessConfig(ignore=()))
    return [column for column in found if column.role != "ignored"]


def sliced(values: pa.Array | np.ndarray, predicted: np.ndarray, champion: np.ndarray | None = None, fewest: int = 20):
    table = pa.table({"column": values})
    return slices("multiclass", TRUTH, predicted, champion, table=table, columns=columns_of(table), fewest_rows=fewest)


def wrong_where(rows: np.ndarray) -> np.ndarray:
    """Every third of these rows gets a wrong answer."""
    predicted = RIGHT.copy()
    bad = rows & (np.arange(ROWS) % 3 == 0)
    predicted[bad] = np.roll(RIGHT[bad], 1, axis=1)
    return predicted


def test_the_category_where_the_model_fails_comes_first_with_count_and_interval() -> None:
    colours = RANDOM.choice(["red", "green", "blue"], ROWS, p=[0.5, 0.4, 0.1])
    found = sliced(colours, wrong_where(colours == "blue"))
    assert found[0].part == "blue"
    assert found[0].rows == np.sum(colours == "blue")
    assert found[0].low < found[0].value < found[0].high < found[1].value == 1.0
    assert found[0].value == pytest.approx(2 / 3, abs=0.08)


def test_numbers_are_cut_at_their_quintiles_and_missing_ones_stand_alone() -> None:
    numbers = RANDOM.normal(size=ROWS)
    missing = RANDOM.random(ROWS) < 0.1
    found = sliced(pa.array(numbers, mask=missing), wrong_where((numbers > 1) & ~missing))
    assert found[0].part.startswith("above 0.8")
    assert len(found) == 6
    assert {each.part: each.rows for each in found}["missing"] == missing.sum()
    assert sum(each.rows for each in found) == ROWS
    assert all(330 < each.rows < 390 for each in found if each.part != "missing")


def test_numbers_with_few_values_are_taken_as_categories() -> None:
    found = sliced(RANDOM.integers(1, 4, ROWS), RIGHT)
    assert sorted(each.part for each in found) == ["1", "2", "3"]


def test_times_truth_values_and_rare_categories_are_named_readably() -> None:
    start = datetime.datetime(2024, 1, 1)
    moments = pa.array([start + datetime.timedelta(hours=int(hour)) for hour in RANDOM.integers(0, 5000, ROWS)])
    assert any(each.part.startswith("up to 2024-02-1") for each in sliced(moments, RIGHT))
    assert sorted(each.part for each in sliced(RANDOM.random(ROWS) < 0.5, RIGHT)) == ["false", "true"]
    shops = [f"shop {number}" for number in RANDOM.integers(0, 60, ROWS)]
    named = {each.part: each.rows for each in sliced(shops, RIGHT)}
    assert len(named) == 21
    assert named["all others"] > 1000


def test_a_constant_column_and_one_without_values_do_no_harm() -> None:
    constant = Column(name="column", type="double", role="numeric", reason="", missing=0.0)
    for values, part in (([4.0] * ROWS, "4"), ([None] * ROWS, "missing")):
        table = pa.table({"column": pa.array(values, pa.float64())})
        found = slices("multiclass", TRUTH, RIGHT, None, table=table, columns=[constant], fewest_rows=20)
        assert [(each.part, each.rows) for each in found] == [(part, ROWS)]


def test_slices_with_few_rows_are_left_out() -> None:
    colours = np.array(["red"] * (ROWS - 30) + ["blue"] * 30)
    assert [each.part for each in sliced(colours, RIGHT, fewest=31)] == ["red"]
    assert len(sliced(colours, RIGHT, fewest=30)) == 2


def test_the_champion_is_compared_on_the_same_rows() -> None:
    colours = RANDOM.choice(["red", "blue"], ROWS)
    found = sliced(colours, wrong_where(colours == "blue"), wrong_where(colours == "red"))
    blue, red = found[0], found[1]
    assert (blue.part, red.part) == ("blue", "red")
    assert blue.champion == 1.0
    assert blue.gain == blue.value - 1.0
    assert red.gain == pytest.approx(1 - red.champion)
    assert 0.005 < blue.gain_error < 0.03


def test_for_errors_the_greatest_comes_first() -> None:
    truth, colours = RANDOM.normal(size=ROWS), RANDOM.choice(["red", "blue"], ROWS)
    predicted = truth + np.where(colours == "red", 3.0, 1.0) * RANDOM.normal(size=ROWS)
    table = pa.table({"column": colours})
    found = slices("regression", truth, predicted, truth, table=table, columns=columns_of(table), fewest_rows=20)
    assert [each.part for each in found] == ["red", "blue"]
    assert found[0].low < 3 < found[0].high
    assert found[0].gain == -found[0].value
