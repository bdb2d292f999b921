"""Which report of a trial counts; NaN and infinities never do."""

import math

import pytest

from ropewalk.tuning.engine import Trial, best_trial
from ropewalk.tuning.metrics import Observation, observe
from ropewalk.tuning.spec import Objective

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("reports", "latest", "least", "greatest"),
    [
        ([0.5, 0.3, 0.4], 0.4, 0.3, 0.5),
        ([NAN, 0.5, 0.3], 0.3, 0.3, 0.5),
        ([0.5, 0.3, NAN], None, 0.3, 0.5),
        ([0.5, -INF], None, 0.5, 0.5),
        ([NAN], None, None, None),
        ([], None, None, None),
    ],
)
def test_only_finite_reports_count(reports, latest, least, greatest):
    found = observe(reports)
    assert found == Observation(latest=latest, min=least, max=greatest, reports=len(reports))
    assert [found.value(each) for each in ("latest", "min", "max")] == [latest, least, greatest]


def _trial(number, reports, state="succeeded"):
    return Trial(number=number, name=str(number), values={}, state=state, observations={"loss": observe(reports)})


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("kind", ["minimize", "maximize"])
def test_a_trial_without_a_finite_value_is_never_the_best(position, bad, kind):
    values = [0.5, 0.3]
    values.insert(position, bad)
    best = best_trial(Objective(metric="loss", type=kind), [_trial(n, [value]) for n, value in enumerate(values)])
    assert values[best.number] == (0.3 if kind == "minimize" else 0.5)


def test_only_trials_that_succeeded_can_be_the_best():
    others = [_trial(n, [0.1], state) for n, state in enumerate(["failed", "early_stopped", "stopped", "running"])]
    objective = Objective(metric="loss", type="minimize")
    assert best_trial(objective, others) is None
    assert best_trial(objective, [*others, _trial(9, [0.7])]).number == 9


def test_the_first_of_equals_is_the_best():
    assert best_trial(Objective(metric="loss", type="maximize"), [_trial(0, [1]), _trial(1, [1])]).number == 0


def test_the_strategy_decides_which_trial_is_best():
    trials = [_trial(0, [0.1, 0.9]), _trial(1, [0.5, 0.5])]
    assert best_trial(Objective(metric="loss", type="minimize"), trials).number == 1
    assert best_trial(Objective(metric="loss", type="minimize", strategies={"loss": "min"}), trials).number == 0
