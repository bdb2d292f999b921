"""The baselines see what the model sees, and nothing is tuned in anyone's favour."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from ropewalk.evaluation.baselines import gradient_boosting, trivial
from ropewalk.preprocess.columns import Column
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.learning import learn_columns

RANDOM = np.random.default_rng(11)


def columns_of(table: pa.Table) -> list[Column]:
    return learn_columns(table, "target", PreprocessConfig(ignore=()))


def boosted(
    train: pa.Table, test: pa.Table, truth: np.ndarray, *, classes: tuple[str, ...] = ("no", "yes"), **changes: int
):
    settings = {"most_rows": 10_000, "seed": 0} | changes
    columns = [column for column in columns_of(train) if column.role != "ignored"]
    return gradient_boosting(train, truth, test, columns=columns, classes=classes, **settings)


def test_the_guess_of_a_classifier_is_the_training_rows_class_shares() -> None:
    baseline = trivial(np.array([0, 1, 1, 1]), classes=["no", "yes"], test_rows=2)
    assert baseline.predicted.tolist() == [[0.25, 0.75], [0.25, 0.75]]


def test_the_guess_of_a_regression_is_the_training_rows_mean() -> None:
    assert trivial(np.array([1.0, 5.0]), classes=[], test_rows=3).predicted.tolist() == [3.0, 3.0, 3.0]


def test_gradient_boosting_is_scikit_learns_default_on_plain_numbers() -> None:
    rows = RANDOM.normal(size=(600, 3))
    rows[RANDOM.random((600, 3)) < 0.1] = np.nan
    truth = (np.nan_to_num(rows[:, 0]) + 0.3 * RANDOM.normal(size=600) > 0).astype(np.int64)
    table = pa.table({name: pa.array(rows[:, place], from_pandas=True) for place, name in enumerate("abc")})
    table = table.append_column("target", pa.array(truth))
    found = boosted(table.slice(0, 400), table.slice(400), truth[:400])
    expected = HistGradientBoostingClassifier(random_state=0).fit(rows[:400], truth[:400]).predict_proba(rows[400:])
    assert np.array_equal(found.predicted, expected)
    assert found.rows == 400


def test_unordered_categories_are_used_as_categories() -> None:
    names = [f"shop {number}" for number in range(200)]
    good = set(RANDOM.choice(names, 100, replace=False))
    shops = RANDOM.choice(names, 8000)
    truth = np.array([shop in good for shop in shops], dtype=np.int64)
    table = pa.table({"shop": shops, "target": truth})
    found = boosted(table.slice(0, 6000), table.slice(6000), truth[:6000])
    assert np.mean(found.predicted.argmax(axis=1) == truth[6000:]) > 0.99


@pytest.mark.parametrize("categories", [255, 256, 3000])
def test_columns_of_many_categories_are_taken(categories: int) -> None:
    codes = np.arange(6000) % categories
    truth = (codes < categories // 2).astype(np.int64)
    table = pa.table({"code": [f"{code:05}" for code in codes], "target": truth})
    found = boosted(table.slice(0, 5000), table.slice(5000), truth[:5000])
    assert np.mean(found.predicted.argmax(axis=1) == truth[5000:]) > 0.95


def test_times_and_truth_values_are_used() -> None:
    moments = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=int(h)) for h in RANDOM.permutation(2000)]
    flags = RANDOM.random(2000) < 0.5
    late = np.array([moment > datetime.datetime(2024, 2, 1) for moment in moments])
    truth = (late ^ flags).astype(np.int64)
    table = pa.table({"moment": pa.array(moments, pa.timestamp("us")), "flag": flags, "target": truth})
    found = boosted(table.slice(0, 1500), table.slice(1500), truth[:1500])
    assert np.mean(found.predicted.argmax(axis=1) == truth[1500:]) > 0.98


def test_a_category_unknown_to_training_counts_as_missing() -> None:
    table = pa.table({"colour": ["red", "blue"] * 200, "target": [0, 1] * 200})
    truth = np.array([0, 1] * 200)
    found = boosted(table, pa.table({"colour": ["mauve", None], "target": [0, 1]}), truth)
    assert found.predicted[0].tolist() == found.predicted[1].tolist()


def test_it_is_fitted_on_no_more_rows_than_asked() -> None:
    table = pa.table({"x": RANDOM.normal(size=500), "target": [0, 1] * 250})
    assert boosted(table, table, np.array([0, 1] * 250), most_rows=100).rows == 100


def test_a_class_that_the_drawn_rows_miss_gets_probability_zero() -> None:
    truth = np.array([0, 1] * 10_000 + [2])
    table = pa.table({"x": RANDOM.normal(size=20_001), "target": truth})
    found = boosted(table, table.slice(0, 5), truth, classes=("a", "b", "c"), most_rows=30_000)
    assert found.rows == 20_000
    assert found.predicted.shape == (5, 3)
    assert found.predicted[:, 2].tolist() == [0.0] * 5


def test_regression_predicts_in_the_targets_unit() -> None:
    x = RANDOM.normal(size=1000)
    table = pa.table({"x": x, "target": 1000 + 50 * x})
    found = boosted(table.slice(0, 800), table.slice(800), 1000 + 50 * x[:800], classes=())
    assert np.sqrt(np.mean((found.predicted - 1000 - 50 * x[800:]) ** 2)) < 10
