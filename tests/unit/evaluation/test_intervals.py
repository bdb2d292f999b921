"""Intervals cover what they should, as often as they should, and quickly."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sk

from ropewalk.evaluation.catalog import BY_TASK
from ropewalk.evaluation.intervals import FEWEST_DRAWS, bootstrap, draw_counts, interval, wilson
from ropewalk.evaluation.metrics import score

Sample = tuple[np.ndarray, np.ndarray]


def binary(rows: int, seed: int) -> Sample:
    random = np.random.default_rng(seed)
    truth = (random.random(rows) < 0.4).astype(np.int64)
    positive = 1 / (1 + np.exp(0.9 - 1.2 * truth - random.normal(size=rows)))
    return truth, np.stack([1 - positive, positive], axis=1)


def multiclass(rows: int, seed: int) -> Sample:
    random = np.random.default_rng(seed)
    truth = random.choice(3, rows, p=[0.5, 0.3, 0.2])
    grown = random.normal(size=(rows, 3))
    grown[np.arange(rows), truth] += 1
    return truth, np.exp(grown) / np.exp(grown).sum(axis=1, keepdims=True)


def regression(rows: int, seed: int) -> Sample:
    random = np.random.default_rng(seed)
    truth = 10 + 3 * random.normal(size=rows)
    return truth, truth + 2 * random.normal(size=rows)


SAMPLES: dict[str, Callable[[int, int], Sample]] = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
}


@pytest.mark.parametrize(
    ("task", "rows", "draws"), [("binary", 400, 300), ("multiclass", 250, 150), ("regression", 300, 200)]
)
def test_intervals_of_every_metric_cover_its_true_value_in_93_to_97_of_100_samples(
    task: str, rows: int, draws: int
) -> None:
    true = score(task, *SAMPLES[task](1_000_000, 1_000_000))
    covered = dict.fromkeys(true, 0)
    for seed in range(1000):
        truth, predicted = SAMPLES[task](rows, seed)
        drawn = bootstrap(task, truth, [predicted], resamples=draws, seed=seed)
        for name, value in true.items():
            low, high = interval(drawn[name][:, 0])
            covered[name] += low <= value <= high
    assert {name: count for name, count in covered.items() if not 930 <= count <= 970} == {}


def test_the_interval_of_a_paired_difference_covers_the_true_one_as_often() -> None:
    def both(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth, predicted = regression(rows, seed)
        return truth, predicted, truth + 0.8 * (predicted - truth) + np.random.default_rng(seed + 7).normal(size=rows)

    truth, first, second = both(1_000_000, 1_000_000)
    true = score("regression", truth, first)["rmse"] - score("regression", truth, second)["rmse"]
    covered = 0
    for seed in range(1000):
        truth, first, second = both(200, seed)
        drawn = bootstrap("regression", truth, [first, second], resamples=150, seed=seed)["rmse"]
        low, high = interval(drawn[:, 0] - drawn[:, 1])
        covered += low <= true <= high
    assert 930 <= covered <= 970


def test_the_interval_of_roc_auc_has_the_width_that_delongs_formula_gives() -> None:
    truth, predicted = binary(2000, 0)
    low, high = interval(bootstrap("binary", truth, [predicted], resamples=2000, seed=0)["roc_auc"][:, 0])
    positives, negatives = predicted[truth == 1, 1], predicted[truth == 0, 1]
    wins = (positives[:, None] > negatives[None, :]).astype(float)
    variance = wins.mean(axis=1).var(ddof=1) / len(positives) + wins.mean(axis=0).var(ddof=1) / len(negatives)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.06)
    assert low < wins.mean() < high


@pytest.mark.parametrize("task", BY_TASK)
def test_every_metric_of_a_task_is_drawn(task: str) -> None:
    draws = bootstrap(task, *_single(task, 200), resamples=300, seed=0)
    assert tuple(draws) == BY_TASK[task]
    assert all(drawn.shape == (300, 1) and np.isfinite(drawn).all() and drawn.std() > 0 for drawn in draws.values())


@pytest.mark.parametrize("task", BY_TASK)
def test_models_are_compared_on_the_same_rows(task: str) -> None:
    truth, (predicted,) = _single(task, 500)
    for drawn in bootstrap(task, truth, [predicted, predicted], resamples=200, seed=0).values():
        assert np.array_equal(drawn[:, 0], drawn[:, 1])


def test_the_same_seed_gives_the_same_draws_also_with_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, predictions = _single("binary", 100_000)
    first, other = (bootstrap("binary", truth, predictions, resamples=300, seed=seed)["roc_auc"] for seed in (1, 2))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    again = bootstrap("binary", truth, predictions, resamples=300, seed=1)["roc_auc"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_draws_that_lack_a_class_are_left_out() -> None:
    truth = np.array([0] * 40 + [1])
    predicted = np.stack([1 - np.linspace(0.1, 0.8, 41), np.linspace(0.1, 0.8, 41)], axis=1)
    drawn = bootstrap("binary", truth, [predicted], resamples=400, seed=0)["roc_auc"][:, 0]
    assert 0.3 < np.isnan(drawn).mean() < 0.45
    assert interval(drawn) == (1.0, 1.0)


def test_rows_are_drawn_nearly_as_often_as_poissons_distribution_says_with_its_mean_and_variance() -> None:
    counts = draw_counts(10, 100_003, seed=(0,))
    shares = np.bincount(counts.ravel(), minlength=6) / counts.size
    assert shares == pytest.approx([0.3679, 0.3679, 0.1839, 0.0613, 0.0153, 0.0031], abs=0.006)
    assert (counts.mean(), counts.var()) == pytest.approx((1, 1), abs=0.004)
    assert np.mean((counts - 1.0) ** 3) == pytest.approx(1, abs=0.04)
    assert np.corrcoef(counts[:, :5000])[0, 1:] == pytest.approx(np.zeros(9), abs=0.06)


def test_millions_of_rows_get_fewer_draws_but_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropewalk.evaluation.intervals._MOST_WORK", 1_000_000)
    truth, (predicted,) = _single("binary", 2000)
    assert len(bootstrap("binary", truth, [predicted], resamples=1000, seed=0)["f1"]) == 500
    assert len(bootstrap("binary", truth, [predicted] * 2, resamples=1000, seed=0)["f1"]) == 250
    assert len(bootstrap("binary", truth, [predicted] * 9, resamples=1000, seed=0)["f1"]) == FEWEST_DRAWS


def test_a_thousand_draws_of_100000_rows_take_seconds_and_a_twentieth_of_resampling_for_scikit_learn() -> None:
    truth, (predicted,) = _single("binary", 100_000)
    started = time.process_time()
    assert len(bootstrap("binary", truth, [predicted], resamples=1000, seed=0)["roc_auc"]) == 1000
    ours = time.process_time() - started
    assert ours < 10
    random, chosen = np.random.default_rng(0), predicted.argmax(axis=1)
    started = time.process_time()
    rows = random.integers(len(truth), size=len(truth))
    sk.roc_auc_score(truth[rows], predicted[rows, 1])
    sk.average_precision_score(truth[rows], predicted[rows, 1])
    for metric in (sk.accuracy_score, sk.balanced_accuracy_score, sk.f1_score, sk.precision_score, sk.recall_score):
        metric(truth[rows], chosen[rows])
    sk.log_loss(truth[rows], predicted[rows])
    sk.brier_score_loss(truth[rows], predicted[rows, 1])
    assert 1000 * (time.process_time() - started) > 20 * ours


def test_wilsons_interval_has_a_width_where_everything_is_right() -> None:
    low, high = wilson(np.array([1.0, 0.5]), np.array([29, 100]))
    assert low == pytest.approx([0.8830, 0.4038], abs=1e-4)
    assert high == pytest.approx([1.0, 0.5962], abs=1e-4)


def _single(task: str, rows: int) -> tuple[np.ndarray, list[np.ndarray]]:
    truth, predicted = SAMPLES[task](rows, 2)
    return truth, [predicted]
