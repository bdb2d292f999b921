"""Curves are few points, all finite, that keep the shape of the many."""

import itertools
import json
import math

import numpy as np
import pytest
from sklearn import metrics as sk

from ropewalk.evaluation.curves import (
    MOST_POINTS,
    calibration_points,
    class_scores,
    curves_of,
    kfp_classification,
    precision_recall_points,
    roc_points,
    threshold_points,
)

RANDOM = np.random.default_rng(9)
TRUTH = RANDOM.integers(0, 2, 30_000)
SCORES = 1 / (1 + np.exp(-(RANDOM.normal(size=30_000) + TRUTH)))
PROBABILITIES = np.stack([1 - SCORES, SCORES], axis=1)


def test_a_thinned_roc_curve_keeps_its_area() -> None:
    roc = roc_points(TRUTH, SCORES)
    false, true = roc["false_positive_rate"], roc["true_positive_rate"]
    assert len(false) <= MOST_POINTS
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true, false) == pytest.approx(sk.roc_auc_score(TRUTH, SCORES), abs=1e-3)


def test_thresholds_of_a_roc_curve_are_finite_and_fall() -> None:
    thresholds = roc_points(TRUTH, SCORES)["threshold"]
    assert all(map(math.isfinite, thresholds))
    assert all(after <= before for before, after in itertools.pairwise(thresholds))


def test_a_thinned_precision_recall_curve_keeps_its_area() -> None:
    points = precision_recall_points(TRUTH, SCORES)
    assert len(points["recall"]) <= MOST_POINTS
    area = np.trapezoid(points["precision"], points["recall"])
    assert area == pytest.approx(sk.average_precision_score(TRUTH, SCORES), abs=5e-3)


def test_calibrated_scores_lie_on_the_diagonal_within_their_intervals() -> None:
    chances = RANDOM.random(20_000)
    points = calibration_points((RANDOM.random(20_000) < chances).astype(int), chances)
    assert len(points["rows"]) == 10
    inside = [
        low <= predicted <= high
        for predicted, low, high in zip(points["predicted"], points["low"], points["high"], strict=True)
    ]
    assert sum(inside) >= 8


def test_calibration_of_one_single_score_is_one_point() -> None:
    points = calibration_points(np.array([0, 1, 1, 1]), np.full(4, 0.6))
    assert points["predicted"] == pytest.approx([0.6])
    assert points["observed"] == [0.75]


def test_threshold_rates_worked_out_by_hand() -> None:
    points = threshold_points(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.6, 1.0]))
    at = dict(zip(points["threshold"], zip(points["precision"], points["recall"], strict=True), strict=True))
    assert at[0.0] == (0.5, 1.0)
    assert at[0.5] == (0.5, 0.5)
    assert at[1.0] == (1.0, 0.5)


def test_class_scores_worked_out_by_hand() -> None:
    scores = class_scores(np.array([[3, 1, 0], [0, 4, 0], [0, 2, 0]]))
    assert scores[0] == {"rows": 4, "precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7)}
    assert scores[2] == {"rows": 2, "precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_the_kfp_metadata_is_what_kfps_own_functions_would_have_written() -> None:
    from kfp import dsl

    curves = curves_of("binary", TRUTH, PROBABILITIES)
    roc = curves["roc"]
    expected = dsl.ClassificationMetrics()
    expected.log_roc_curve(roc["false_positive_rate"], roc["true_positive_rate"], roc["threshold"])
    expected.log_confusion_matrix(["no", "yes"], curves["confusion"])
    assert kfp_classification(curves, ["no", "yes"]) == expected.metadata


def test_regression_has_no_kfp_classification() -> None:
    assert kfp_classification(curves_of("regression", SCORES, SCORES + 1), []) == {}


def test_a_matrix_too_large_for_the_ui_is_left_out() -> None:
    truth = np.arange(60) % 51
    curves = curves_of("multiclass", truth, np.eye(51)[truth])
    assert kfp_classification(curves, [f"class {each}" for each in range(51)]) == {}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_curves_are_strict_json(task: str) -> None:
    curves = curves_of(task, TRUTH, SCORES if task == "regression" else PROBABILITIES)
    assert json.loads(json.dumps(curves, allow_nan=False)) == curves
