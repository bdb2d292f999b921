"""A weighted score is the score of the rows repeated so often, as scikit-learn works it out."""

import numpy as np
import pytest
from sklearn import metrics as sk

from ropewalk.evaluation.intervals import draw_counts
from ropewalk.evaluation.scorers import SCORERS, Ranking, RegressionScorer

RANDOM = np.random.default_rng(4)
ROWS = 300
WEIGHTS = draw_counts(7, ROWS, seed=(1,))


def drawn_rows() -> list[np.ndarray]:
    return [np.repeat(np.arange(ROWS), counts) for counts in WEIGHTS]


def probabilities(classes: int, *, ties: bool) -> np.ndarray:
    found = RANDOM.dirichlet(np.ones(classes), ROWS)
    return np.round(found, 1) if ties else found


@pytest.mark.parametrize("ties", [False, True])
def test_binary_scores_are_scikit_learns_of_the_drawn_rows(ties: bool) -> None:
    truth = RANDOM.integers(0, 2, ROWS)
    positive = np.clip(0.3 * truth + 0.7 * probabilities(2, ties=ties)[:, 1], 0.01, 0.99)
    positive = np.round(positive, 1) if ties else positive
    predicted = np.stack([1 - positive, positive], axis=1)
    found = SCORERS["binary"](truth, predicted).scores(WEIGHTS)
    for draw, rows in enumerate(drawn_rows()):
        true, sure = truth[rows], positive[rows]
        chosen = predicted[rows].argmax(axis=1)
        expected = {
            "roc_auc": sk.roc_auc_score(true, sure),
            "average_precision": sk.average_precision_score(true, sure),
            "accuracy": sk.accuracy_score(true, chosen),
            "balanced_accuracy": sk.balanced_accuracy_score(true, chosen),
            "f1": sk.f1_score(true, chosen),
            "precision": sk.precision_score(true, chosen),
            "recall": sk.recall_score(true, chosen),
            "log_loss": sk.log_loss(true, sure),
            "brier": sk.brier_score_loss(true, sure),
        }
        assert {name: values[draw] for name, values in found.items()} == pytest.approx(expected)


def test_multiclass_scores_are_scikit_learns_of_the_drawn_rows() -> None:
    truth, predicted = RANDOM.integers(0, 4, ROWS), probabilities(4, ties=False)
    found = SCORERS["multiclass"](truth, predicted).scores(WEIGHTS)
    for draw, rows in enumerate(drawn_rows()):
        true, chosen = truth[rows], predicted[rows].argmax(axis=1)
        expected = {
            "accuracy": sk.accuracy_score(true, chosen),
            "balanced_accuracy": sk.balanced_accuracy_score(true, chosen),
            "macro_f1": sk.f1_score(true, chosen, average="macro"),
            "roc_auc": sk.roc_auc_score(true, predicted[rows], multi_class="ovr"),
            "log_loss": sk.log_loss(true, predicted[rows]),
        }
        assert {name: values[draw] for name, values in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("digits", [0, 17])
@pytest.mark.parametrize("ordered", [False, True])
def test_regression_scores_are_scikit_learns_of_the_drawn_rows(ordered: bool, digits: int) -> None:
    truth = 1000 + RANDOM.normal(size=ROWS).round(digits)
    predicted = truth + RANDOM.normal(size=ROWS).round(digits)
    if ordered:
        order = RegressionScorer.best_order(truth, predicted)
        truth, predicted = truth[order], predicted[order]
    found = SCORERS["regression"](truth, predicted).scores(WEIGHTS)
    for draw, rows in enumerate(drawn_rows()):
        expected = {
            "rmse": sk.root_mean_squared_error(truth[rows], predicted[rows]),
            "mae": sk.mean_absolute_error(truth[rows], predicted[rows]),
            "median_absolute_error": sk.median_absolute_error(truth[rows], predicted[rows]),
            "r2": sk.r2_score(truth[rows], predicted[rows]),
        }
        assert {name: values[draw] for name, values in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("rows", [1, 2, 47, 48, 49, 96, 500])
def test_medians_of_few_rows_and_of_many_draws_of_a_row_are_numpys(rows: int) -> None:
    errors = np.random.default_rng(rows).random(rows)
    weights = np.random.default_rng(1).integers(0, 200, (20, rows)).astype(np.uint8)
    weights[0] = 0
    found = RegressionScorer(np.zeros(rows), errors).scores(weights)["median_absolute_error"]
    expected = [np.median(np.repeat(errors, each)) if each.any() else np.nan for each in weights]
    assert found == pytest.approx(np.array(expected), nan_ok=True)


def test_a_draw_that_lacks_a_class_has_no_area_and_one_that_nobody_is_chosen_in_no_precision() -> None:
    truth, positive = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    weights = np.array([[1, 2, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=np.uint8)
    found = SCORERS["binary"](truth, np.stack([1 - positive, positive], axis=1)).scores(weights)
    assert np.isnan(found["roc_auc"]).tolist() == [True, True, True, False]
    assert np.isnan(found["recall"]).tolist() == [True, False, True, False]
    assert np.isnan(found["accuracy"]).tolist() == [False, False, True, False]
    assert found["precision"].tolist() == [0.0] * 4


def test_a_class_that_a_draw_lacks_is_left_out_of_the_means() -> None:
    truth, predicted = np.array([0, 1, 2]), np.eye(3) * 0.7 + 0.1
    found = SCORERS["multiclass"](truth, predicted).scores(np.array([[1, 1, 0], [2, 0, 0]], dtype=np.uint8))
    assert found["balanced_accuracy"].tolist() == [1.0, 1.0]
    assert found["roc_auc"][0] == 1.0
    assert np.isnan(found["roc_auc"][1])


def test_all_scores_equal_means_half_of_the_pairs_in_order_and_precision_of_the_share() -> None:
    area, precision = Ranking(np.array([True, False, True, False]), np.full(4, 0.5)).areas(np.ones((1, 4), np.uint8))
    assert (area[0], precision[0]) == (0.5, 0.5)
