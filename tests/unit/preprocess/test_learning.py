from datetime import datetime

import pyarrow as pa
import pytest

from ropewalk.errors import ConfigError, DataError
from ropewalk.preprocess.columns import Column
from ropewalk.preprocess.learning import learn_columns
from ropewalk.preprocess.config import PreprocessConfig


def learn(columns: dict, **settings) -> dict[str, Column]:
    table = pa.table({**columns, "target": [0, 1] * (len(next(iter(columns.values()))) // 2)})
    return {column.name: column for column in learn_columns(table, "target", PreprocessConfig(**settings))}


def test_roles_follow_from_types() -> None:
    learned = learn(
        {
            "amount": [0.5, 1.5, 2.5, 9.5],
            "floor": [1, 2, 3, 3],
            "city": ["a", "b", "a", None],
            "paid": [True, False, True, None],
            "when": [datetime(2024, 1, day, day) for day in (1, 2, 3, 4)],
            "day": pa.array([1, 2, 3, 4], pa.date32()),
        }
    )
    assert {name: column.role for name, column in learned.items()} == {
        "amount": "numeric",
        "floor": "numeric",
        "city": "categorical",
        "paid": "categorical",
        "when": "datetime",
        "day": "datetime",
    }
    assert learned["floor"].vocabulary == (3.0, 1.0, 2.0)
    assert learned["amount"].vocabulary is None
    assert learned["city"].vocabulary == ("a", "b")
    assert [number.part for number in learned["when"].numbers] == ["hour", "day_of_week", "day_of_year"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.array([None] * 4, pa.float64()), "no value"),
        (pa.array([None] * 4, pa.string()), "no value"),
        ([7, 7, 7, None], "one value only"),
        (["x"] * 4, "one value only"),
        ([float("nan"), float("inf"), 2.0, 2.0], "one value only"),
        (pa.array([[1], [2], [3], [4]]), "not understood"),
    ],
)
def test_columns_that_say_nothing_are_set_aside_with_a_reason(values, reason: str) -> None:
    column = learn({"x": values})["x"]
    assert column.role == "ignored"
    assert reason in column.reason


def test_text_that_differs_in_every_row_is_set_aside_unless_it_is_named() -> None:
    names = [f"customer {index}" for index in range(200)]
    assert learn({"id": names})["id"].role == "ignored"
    assert learn({"id": names}, categorical=("id",))["id"].role == "categorical"


def test_named_roles_win() -> None:
    learned = learn(
        {"zip": [10115, 10117, 10119, 10115], "text": ["1", "2", "3", "4"], "drop": [1, 2, 3, 4]},
        categorical=("zip",),
        numeric=("text",),
        ignore=("drop",),
    )
    assert [learned[name].role for name in ("zip", "text", "drop")] == ["categorical", "numeric", "ignored"]
    assert not learned["zip"].numbers


def test_text_named_as_numeric_that_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match=r"preprocess\.categorical"):
        learn({"x": ["1", "two", "3", "4"]}, numeric=("x",))


@pytest.mark.parametrize("setting", ["ignore", "numeric", "categorical"])
def test_an_unknown_column_in_a_setting_is_refused_with_the_nearest(setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"preprocess\.{setting} names 'amout'.*Did you mean 'amount'"):
        learn({"amount": [1, 2, 3, 4]}, **{setting: ("amout",)})
    with pytest.raises(ConfigError, match="'target'"):
        learn({"amount": [1, 2, 3, 4]}, **{setting: ("target",)})


def test_the_most_frequent_categories_are_kept_and_ties_go_by_name() -> None:
    values = ["c", "c", "c", "b", "a", "b", "a", "z"]
    assert learn({"x": values}, max_categories=2)["x"].vocabulary == ("c", "a")
    assert learn({"x": values[::-1]}, max_categories=2)["x"].vocabulary == ("c", "a")


def test_numbers_are_centred_on_the_median_and_scaled_by_the_quartiles() -> None:
    number = learn({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 1e9]})["x"].numbers[0]
    assert (number.center, number.scale) == (2.5, 2.5)
    assert number.edges[0] == 0.0
    assert number.edges[-1] == 1e9
    assert list(number.edges) == sorted(set(number.edges))
