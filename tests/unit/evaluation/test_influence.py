"""Standard errors without resampling agree with the bootstrap's, also for paired differences."""

import numpy as np
import pytest
from sklearn import metrics as sk

from ropewalk.evaluation.catalog import headline
from ropewalk.evaluation.influence import Groups, influence, standard_errors, whole
from ropewalk.evaluation.intervals import bootstrap

RANDOM = np.random.default_rng(8)
ROWS = 1200
TRUTH = RANDOM.integers(0, 2, ROWS)


def predictions(noise: float) -> np.ndarray:
    positive = np.round(1 / (1 + np.exp(-1.5 * (TRUTH - 0.5) - noise * RANDOM.normal(size=ROWS))), 2)
    return np.stack([1 - positive, positive], axis=1)


GOOD, BAD = predictions(1.0), predictions(1.6)
CASES = {"binary": (TRUTH, GOOD, BAD), "multiclass": (TRUTH, GOOD, BAD)}
CASES["regression"] = (TRUTH.astype(float), GOOD[:, 1], BAD[:, 1])


@pytest.mark.parametrize("task", CASES)
def test_values_and_errors_are_those_of_the_bootstrap(task: str) -> None:
    truth, good, bad = CASES[task]
    draws = bootstrap(task, truth, [good, bad], resamples=4000, seed=0)[headline(task).name]
    first, second = (influence(task, truth, each, whole(ROWS)) for each in (good, bad))
    assert first.values[0] == pytest.approx(draws[:, 0].mean(), abs=0.003)
    assert standard_errors(first.rows, whole(ROWS))[0] == pytest.approx(draws[:, 0].std(), rel=0.06)
    paired = standard_errors(first.rows - second.rows, whole(ROWS))[0]
    assert paired == pytest.approx((draws[:, 0] - draws[:, 1]).std(), rel=0.06)


@pytest.mark.parametrize("task", CASES)
def test_each_group_is_what_it_would_be_alone(task: str) -> None:
    truth, predicted, _ = CASES[task]
    codes = RANDOM.integers(0, 5, ROWS)
    together = influence(task, truth, predicted, Groups(codes=codes, count=5))
    errors = standard_errors(together.rows, Groups(codes=codes, count=5))
    for group in range(5):
        rows = codes == group
        alone = influence(task, truth[rows], predicted[rows], whole(int(rows.sum())))
        assert together.values[group] == pytest.approx(alone.values[0])
        assert errors[group] == pytest.approx(standard_errors(alone.rows, whole(int(rows.sum())))[0])
        assert together.rows[rows].mean() == pytest.approx(0, abs=1e-12)


def test_areas_of_groups_are_scikit_learns_also_with_ties() -> None:
    codes = RANDOM.integers(0, 4, ROWS)
    coarse = np.round(GOOD, 1)
    found = influence("binary", TRUTH, coarse, Groups(codes=codes, count=4)).values
    expected = [sk.roc_auc_score(TRUTH[codes == group], coarse[codes == group, 1]) for group in range(4)]
    assert found.tolist() == pytest.approx(expected)


def test_a_group_with_few_rows_of_a_class_has_no_area_and_an_empty_one_no_value() -> None:
    codes = np.where(TRUTH == 1, 1, 0)
    codes[:600] = 2
    found = influence("binary", TRUTH, GOOD, Groups(codes=codes, count=4))
    assert np.isnan(found.values).tolist() == [True, True, False, True]
    assert np.isfinite(found.rows).all()
    assert np.isnan(influence("multiclass", TRUTH, GOOD, Groups(codes=codes, count=4)).values[3])
