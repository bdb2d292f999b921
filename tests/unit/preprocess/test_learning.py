from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.errors import ConfigError, DataError
from ropewalk.preprocess.columns import Column
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.learning import Learner, learn_columns


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
        "paid": "boolean",
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
    cut = {"max_categories": 2, "above_max_categories": "unknown"}
    assert learn({"x": values}, **cut)["x"].vocabulary == ("c", "a")
    assert learn({"x": values[::-1]}, **cut)["x"].vocabulary == ("c", "a")


def test_numbers_are_centred_on_the_median_and_scaled_by_the_quartiles() -> None:
    number = learn({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 1e9]})["x"].numbers[0]
    assert (number.center, number.scale) == (2.5, 2.5)
    assert number.edges[0] == 0.0
    assert number.edges[-1] == 1e9
    assert list(number.edges) == sorted(set(number.edges))


def test_a_column_with_more_categories_than_allowed_is_hashed_unless_the_setting_says_otherwise() -> None:
    values = [f"c{index % 30}" for index in range(120)]
    hashed = learn({"x": values}, max_categories=29, hash_buckets=64)["x"]
    assert (hashed.role, hashed.buckets, hashed.vocabulary) == ("hashed", 64, None)
    assert "more than 29 categories" in hashed.reason
    assert learn({"x": values}, max_categories=30)["x"].role == "categorical"
    named = learn({"x": [1, 2, 3, 4]}, roles={"x": "hashed"})["x"]
    assert (named.role, named.reason) == ("hashed", "named in `roles`")


def test_categories_of_too_few_rows_count_as_unknown() -> None:
    values = ["a"] * 5 + ["b"] * 4 + ["c"]
    assert learn({"x": values}, min_count=4)["x"].vocabulary == ("a", "b")
    rare = learn({"x": values}, min_count=6)["x"]
    assert rare.role == "ignored"
    assert "fewer than 6 rows" in rare.reason


def test_free_text_is_set_aside_unless_it_is_named() -> None:
    texts = [f"This is what customer {index} wrote to us on a long and rainy day." for index in range(200)]
    column = learn({"note": texts})["note"]
    assert (column.role, "free text" in column.reason) == ("text", True)
    assert learn({"note": texts}, roles={"note": "hashed"})["note"].role == "hashed"
    assert learn({"note": [text[:90] for text in texts[:2]] * 100})["note"].role == "categorical"


@pytest.mark.parametrize(
    ("settings", "center", "scale", "fill"),
    [
        ({"scaling": "robust"}, 2.0, 2.0, None),
        ({"scaling": "standard"}, 4.0, np.std([0, 1, 2, 3, 14]), 2.0),
        ({"scaling": "standard", "impute": "mean"}, 4.0, np.std([0, 1, 2, 3, 14]), None),
        ({"scaling": "standard", "scaling_by_column": {"x": "robust"}, "impute_by_column": {"x": "mean"}}, 2.0, 2.0, 4),
    ],
)
def test_scaling_and_imputation_follow_the_settings(settings: dict, center: float, scale: float, fill: float) -> None:
    number = learn({"x": [0.0, 1.0, 2.0, 3.0, 14.0, None]}, **settings)["x"].numbers[0]
    assert (number.center, number.fill) == (center, fill)
    assert number.scale == pytest.approx(scale)


def test_quantile_scaling_makes_any_distribution_normal() -> None:
    values = np.random.default_rng(0).lognormal(sigma=2, size=20_000)
    number = learn({"x": values}, scaling="quantile", quantile_bins=256)["x"].numbers[0]
    scaled = number.scaled(values)
    assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=0.02)
    assert np.mean(np.abs(scaled) < 1) == pytest.approx(0.6827, abs=0.01)
    assert (np.diff(number.scaled(np.sort(values))) >= 0).all()
    assert number.scaled(np.array([values.max() * 9])) == number.targets[-1]


def test_parts_of_a_time_that_never_change_are_left_out() -> None:
    days = pa.array([datetime(2024, 1, day) for day in (1, 2, 3, 4)])
    parts = ("year", "month", "day", "hour", "days", "day_of_week_sin", "day_of_year_cos")
    numbers = learn({"day": days}, datetime_parts=parts)["day"].numbers
    assert [number.part for number in numbers] == ["day", "days", "day_of_week_sin", "day_of_year_cos"]


def test_what_is_learned_does_not_depend_on_how_the_rows_are_cut() -> None:
    random = np.random.default_rng(3)
    table = pa.table(
        {
            "x": pa.array(random.normal(1e6, 1, 5000), mask=random.random(5000) < 0.1),
            "floor": random.integers(0, 900, 5000),
            "city": random.choice([f"c{place}" for place in range(300)], 5000),
            "when": pa.array(random.integers(0, 10**15, 5000), pa.timestamp("us")),
            "target": random.integers(0, 2, 5000),
        }
    )
    config = PreprocessConfig(max_categories=100)
    learner = Learner(table.schema, "target", config, {})
    for first in range(0, 5000, 700):
        learner.add(table.slice(first, 700).combine_chunks().to_batches()[0])
    for one, other in zip(learner.columns(), learn_columns(table, "target", config), strict=True):
        assert (one.role, one.vocabulary, one.missing) == (other.role, other.vocabulary, other.missing)
        for mine, whole in zip(one.numbers, other.numbers, strict=True):
            assert (mine.center, mine.scale, mine.edges) == (whole.center, whole.scale, whole.edges)


def test_of_more_rows_than_are_sampled_quantiles_are_close_and_extents_exact() -> None:
    rows = 700_000
    values = np.random.default_rng(0).permutation(rows).astype(float)
    number = learn({"x": values})["x"].numbers[0]
    assert (number.edges[0], number.edges[-1]) == (0, rows - 1)
    exact = np.quantile(values, np.linspace(0, 1, 49))
    assert np.abs(np.array(number.edges) - exact).max() < 0.005 * rows


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324])
def test_extreme_numbers_leave_everything_finite(value: float) -> None:
    number = learn({"x": [value, -value, 0.0, 1.0, float("inf"), None]}, scaling="standard")["x"].numbers[0]
    assert np.isfinite([number.center, number.scale, *number.edges]).all()
    assert number.scale > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"roles": {"x": "number"}}, r"roles\['x'\]='number': need one of numeric.*Did you mean 'numeric'"),
        ({"roles": {"x": "numeric"}, "ignore": ("x",)}, "roles and another setting both name x"),
        ({"scaling": "robus"}, "scaling='robus'.*Did you mean 'robust'"),
        ({"impute_by_column": {"x": "mode"}}, r"impute_by_column\['x'\]='mode'"),
        ({"hash_buckets": 1}, "hash_buckets=1: need 2 to 16,777,216"),
        ({"min_count": 0}, "min_count=0: need 1 or more"),
        ({"datetime_parts": ("hours",)}, "datetime_parts='hours'.*Did you mean 'hour'"),
        ({"function": "features"}, "function='features': need the form 'module:function'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PreprocessConfig(**settings)
