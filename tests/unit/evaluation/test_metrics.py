"""Scores agree with scikit-learn and with numbers worked out by hand; nothing but finite numbers comes out."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from ropewalk.errors import DataError, TrainingError
from ropewalk.evaluation.catalog import BY_TASK, METRICS, gain, headline
from ropewalk.evaluation.metrics import check_truth, score

RANDOM = np.random.default_rng(3)
TRUTH = RANDOM.integers(0, 2, 400)
POSITIVE = np.clip(0.3 * TRUTH + 0.7 * RANDOM.random(400), 0, 1)
BINARY = np.stack([1 - POSITIVE, POSITIVE], axis=1)


def test_binary_scores_worked_out_by_hand() -> None:
    truth = np.array([0, 0, 1, 1])
    positive = np.array([0.1, 0.6, 0.4, 0.9])
    scores = score("binary", truth, np.stack([1 - positive, positive], axis=1))
    assert scores["roc_auc"] == 0.75
    assert scores["accuracy"] == scores["precision"] == scores["recall"] == scores["f1"] == 0.5
    assert scores["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert scores["log_loss"] == pytest.approx(-np.mean(np.log([0.9, 0.4, 0.4, 0.9])))


def test_multiclass_scores_agree_with_scikit_learn() -> None:
    truth = RANDOM.integers(0, 4, 500)
    predicted = RANDOM.dirichlet(np.ones(4), 500)
    scores = score("multiclass", truth, predicted)
    assert scores["roc_auc"] == pytest.approx(sk.roc_auc_score(truth, predicted, multi_class="ovr", average="macro"))
    assert scores["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, predicted.argmax(axis=1)))


def test_regression_scores_worked_out_by_hand() -> None:
    scores = score("regression", np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0]))
    assert scores == pytest.approx(
        {"rmse": math.sqrt(5 / 3), "mae": 1.0, "median_absolute_error": 1.0, "r2": 1 - 5 / 8}
    )


@pytest.mark.parametrize("task", BY_TASK)
def test_each_task_has_just_the_metrics_of_the_catalog(task: str) -> None:
    truth = {"binary": TRUTH, "multiclass": TRUTH, "regression": POSITIVE}[task]
    predicted = POSITIVE * 2 if task == "regression" else BINARY
    assert tuple(score(task, truth, predicted)) == BY_TASK[task]


def test_a_class_that_is_absent_from_the_test_rows_is_left_out_of_the_means() -> None:
    predicted = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    scores = score("multiclass", np.array([0, 1, 1]), predicted)
    assert scores["roc_auc"] == 0.875
    assert scores["balanced_accuracy"] == 0.75


def test_certainty_that_is_wrong_costs_much_but_stays_finite() -> None:
    scores = score("binary", np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert all(math.isfinite(value) for value in scores.values())
    assert scores["log_loss"] > 30


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_predictions_that_are_no_numbers_are_refused_with_their_count(bad: float) -> None:
    predicted = BINARY.copy()
    predicted[:7] = bad
    with pytest.raises(TrainingError, match="no finite prediction for 7 of 400 test rows"):
        score("binary", TRUTH, predicted)


def test_a_target_too_large_to_square_is_refused() -> None:
    truth = np.array([1e200, -1e200, 0.0])
    with pytest.raises(DataError, match="Rescale the target"):
        score("regression", truth, np.zeros(3))


@pytest.mark.parametrize(
    ("task", "truth", "classes", "message"),
    [
        ("binary", [1, 1, 1], ["no", "yes"], r"\(3 rows\) has 'yes' as its only target"),
        ("multiclass", [2, 2], ["a", "b", "c"], "has 'c' as its only target"),
        ("regression", [4.5, 4.5], [], "has 4.5 as its only target"),
        ("regression", [], [], "has nothing as its only target"),
    ],
)
def test_test_rows_with_one_value_are_refused_with_advice(
    task: str, truth: list[float], classes: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_truth(task, np.array(truth), classes)
    assert "test_fraction" in str(caught.value)


def test_gain_is_positive_when_the_value_is_better() -> None:
    assert gain(headline("regression"), 3.0, 5.0) == 2.0
    assert gain(METRICS["accuracy"], 0.9, 0.8) == pytest.approx(0.1)
