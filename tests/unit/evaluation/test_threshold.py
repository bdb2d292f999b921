"""A threshold serves what was asked for, and its scores do not flatter it."""

import numpy as np
import pytest

from ropewalk.evaluation.threshold import OperatingPoint, operating_point

RANDOM = np.random.default_rng(2)
ROWS = 20_000
CHANCE = RANDOM.beta(1, 3, ROWS)
TRUTH = (RANDOM.random(ROWS) < CHANCE).astype(np.int64)


def point(truth: np.ndarray = TRUTH, scores: np.ndarray = CHANCE, **wanted: float) -> OperatingPoint:
    return operating_point(truth, scores, wanted, resamples=200, seed=0)


def test_with_true_probabilities_the_cheapest_threshold_is_that_of_bayes() -> None:
    for false, missed in ((1, 1), (1, 5), (4, 1)):
        found = point(false_positive=false, false_negative=missed)
        assert found.threshold == pytest.approx(false / (false + missed), abs=0.08)
        value, low, high = found.scores["cost_per_row"]
        assert low < value < high
        (_, wrong), (lost, _) = found.confusion
        assert value == pytest.approx((false * wrong + missed * lost) / ROWS)


def test_a_precision_to_reach_gives_the_highest_recall_that_has_it() -> None:
    found = point(precision=0.7)
    assert found.reached
    assert found.scores["precision"][0] == pytest.approx(0.7, abs=0.03)
    chosen = found.threshold <= CHANCE
    assert TRUTH[chosen].mean() >= 0.7
    lower = np.sort(CHANCE[found.threshold > CHANCE])[-200:]
    assert all(TRUTH[each <= CHANCE].mean() < 0.7 for each in lower)


def test_a_recall_to_reach_gives_the_highest_threshold_that_has_it() -> None:
    found = point(recall=0.9)
    assert np.mean(CHANCE[TRUTH == 1] >= found.threshold) >= 0.9
    assert np.mean(CHANCE[TRUTH == 1] > found.threshold) < 0.9
    assert found.scores["recall"][0] == pytest.approx(0.9, abs=0.02)


def test_a_precision_that_nothing_has_is_told_and_answered_with_the_closest() -> None:
    truth, scores = np.array([0, 1, 0, 1, 0, 0] * 20), np.array([0.9, 0.5, 0.4, 0.3, 0.2, 0.1] * 20)
    found = point(truth, scores, precision=0.99)
    assert not found.reached
    assert found.threshold == 0.5


def test_when_false_alarms_are_dear_nobody_is_chosen() -> None:
    truth, scores = np.array([1, 0] * 50), np.full(100, 0.5)
    found = point(truth, scores, false_positive=100, false_negative=1)
    assert found.threshold > 0.5
    assert found.confusion == [[50, 0], [50, 0]]


def test_scores_of_a_threshold_chosen_among_noise_are_not_better_than_noise() -> None:
    recalls = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        truth, scores = random.integers(0, 2, 60), random.random(60)
        found = operating_point(truth, scores, {"precision": 0.75}, resamples=100, seed=seed)
        chosen = found.confusion[0][1] + found.confusion[1][1]
        recalls.append((found.confusion[1][1], chosen))
    right, chosen = np.sum(recalls, axis=0)
    assert right / chosen == pytest.approx(0.5, abs=0.08)


def test_the_same_seed_gives_the_same_answer() -> None:
    assert point(recall=0.8) == point(recall=0.8)
