"""Intervals cover what they should, as often as they should, and quickly."""

import time

import numpy as np
import pytest

from ropewalk.evaluation.intervals import headline_draws, interval, wilson
from ropewalk.evaluation.metrics import score


def sample(rows: int, seed: int, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, rows)
    positive = 1 / (1 + np.exp(-(random.normal(size=rows) + shift * truth)))
    return truth, np.stack([1 - positive, positive], axis=1)


def test_the_interval_of_roc_auc_has_the_width_that_delongs_formula_gives() -> None:
    truth, predicted = sample(2000, 0)
    low, high = interval(headline_draws("binary", truth, [predicted], resamples=2000, seed=0)[:, 0])
    positives, negatives = predicted[truth == 1, 1], predicted[truth == 0, 1]
    wins = (positives[:, None] > negatives[None, :]).astype(float)
    variance = wins.mean(axis=1).var(ddof=1) / len(positives) + wins.mean(axis=0).var(ddof=1) / len(negatives)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.06)
    assert low < wins.mean() < high


def test_each_draw_of_roc_auc_is_an_area_also_with_ties() -> None:
    truth = np.array([0, 0, 1, 1])
    predicted = np.array([[0.5, 0.5]] * 4)
    draws = headline_draws("binary", truth, [predicted], resamples=100, seed=0)
    assert np.all(draws == 0.5)


def test_the_interval_of_a_regression_error_covers_the_true_error_in_about_19_of_20_samples() -> None:
    covered = 0
    for seed in range(200):
        errors = np.random.default_rng(seed).normal(scale=3, size=300)
        draws = headline_draws("regression", np.zeros(300), [errors], resamples=300, seed=seed)
        low, high = interval(draws[:, 0])
        covered += low <= 3 <= high
    assert 180 <= covered <= 199


def test_drawing_patterns_of_right_answers_gives_the_bootstraps_spread() -> None:
    truth, predicted = sample(1000, 1)
    draws = headline_draws("multiclass", truth, [predicted], resamples=5000, seed=0)[:, 0]
    accuracy = score("multiclass", truth, predicted)["accuracy"]
    assert draws.mean() == pytest.approx(accuracy, abs=0.002)
    assert draws.std() == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 1000), rel=0.05)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_models_are_compared_on_the_same_rows(task: str) -> None:
    truth, predicted = sample(500, 2)
    predicted = predicted[:, 1] if task == "regression" else predicted
    draws = headline_draws(task, truth, [predicted, predicted], resamples=200, seed=0)
    assert np.array_equal(draws[:, 0], draws[:, 1])
    assert draws[:, 0].std() > 0


def test_the_same_seed_gives_the_same_draws() -> None:
    truth, predicted = sample(300, 3)
    first, again, other = (headline_draws("binary", truth, [predicted], resamples=100, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_many_rows_get_fewer_draws_but_at_least_100(task: str) -> None:
    truth, predicted = sample(400_000, 4)
    predicted = predicted[:, 1] if task == "regression" else predicted
    assert len(headline_draws(task, truth, [predicted], resamples=1000, seed=0)) == 125


def test_a_thousand_draws_of_50000_rows_take_seconds() -> None:
    truth, predicted = sample(50_000, 5)
    started = time.process_time()
    assert len(headline_draws("binary", truth, [predicted], resamples=1000, seed=0)) == 1000
    assert time.process_time() - started < 10


def test_wilsons_interval_has_a_width_where_everything_is_right() -> None:
    low, high = wilson(np.array([1.0, 0.5]), np.array([29, 100]))
    assert low == pytest.approx([0.8830, 0.4038], abs=1e-4)
    assert high == pytest.approx([1.0, 0.5962], abs=1e-4)
