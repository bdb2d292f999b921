"""The calibration error is small for true probabilities, large for others, and says what is chance."""

import numpy as np
import pytest

from ropewalk.evaluation.calibration import calibration_error

RANDOM = np.random.default_rng(1)


def test_true_probabilities_stay_below_what_is_chance_in_about_19_of_20_samples() -> None:
    below = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        chance = random.random(500)
        error, limit = calibration_error((random.random(500) < chance).astype(float), chance, seed=seed)
        below += error <= limit
    assert 365 <= below <= 395


def test_the_error_is_the_mean_distance_from_what_was_observed() -> None:
    scores = np.repeat([0.1, 0.8], 100)
    truth = np.concatenate([np.ones(30), np.zeros(70), np.ones(60), np.zeros(40)])
    assert calibration_error(truth, scores, seed=0)[0] == pytest.approx((0.2 + 0.2) / 2)


def test_probabilities_that_are_too_sure_are_beyond_chance() -> None:
    chance = RANDOM.uniform(0.3, 0.7, 5000)
    truth = (RANDOM.random(5000) < chance).astype(float)
    error, limit = calibration_error(truth, np.clip(3 * (chance - 0.5) + 0.5, 0, 1), seed=0)
    assert error > 3 * limit


def test_one_single_score_is_one_bin() -> None:
    error, _ = calibration_error(np.array([0.0, 1.0, 1.0, 1.0]), np.full(4, 0.6), seed=0)
    assert error == pytest.approx(0.15)
