"""Katib's medianstop: a mean of means, judged by the best."""

import math

import pytest

from ropewalk.tuning.medianstop import MedianStop
from ropewalk.tuning.spec import EarlyStopping, Objective


def _rule(kind="minimize", **settings):
    return MedianStop(EarlyStopping(settings=settings), Objective(metric="loss", type=kind))


def test_the_limit_is_the_mean_over_trials_of_their_first_reports():
    rule = _rule(min_trials_required="2", start_step="2")
    assert rule.limit([[1, 3, 100], [5, 7]]) == 4
    assert rule.limit([[1, 3]]) is None


def test_by_default_three_trials_and_four_reports_are_needed():
    assert _rule().limit([[1]] * 2) is None
    assert _rule().limit([[1]] * 3) == 1
    assert not _rule().is_hopeless([9, 9, 9], 1)
    assert _rule().is_hopeless([9, 9, 9, 9], 1)


@pytest.mark.parametrize(
    ("kind", "reports", "hopeless"),
    [
        ("minimize", [9, 0.5], False),
        ("minimize", [9, 1], False),
        ("minimize", [9, 1.5], True),
        ("maximize", [0, 1.5], False),
        ("maximize", [0, 0.5], True),
        ("minimize", [math.nan, math.nan], True),
        ("minimize", [math.nan, 0.5], False),
    ],
)
def test_a_trial_is_hopeless_when_its_best_is_worse(kind, reports, hopeless):
    assert _rule(kind, start_step=2).is_hopeless(reports, 1.0) is hopeless


def test_reports_that_are_no_numbers_do_not_move_the_limit():
    assert _rule(min_trials_required=1).limit([[math.nan, 2], [math.inf]]) == 2
