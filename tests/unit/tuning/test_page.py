"""The page of an experiment."""

import re

import pytest

from ropewalk.tuning.engine import best_trial
from ropewalk.tuning.importance import parameter_importance
from ropewalk.tuning.page import tuning_page
from ropewalk.tuning.plots import best_last
from ropewalk.tuning.results import result_of
from ropewalk.tuning.spec import Objective

SPACE = [
    {"name": "x", "type": "double", "min": 0, "max": 1},
    {"name": "rate", "type": "double", "min": 1e-4, "max": 1, "distribution": "logNormal"},
    {"name": "n", "type": "int", "min": 1, "max": 100, "distribution": "logUniform"},
    {"name": "kind", "type": "categorical", "values": ["a", "b"]},
]


@pytest.fixture
def finished(experiment, snapshot_of):
    count = 24
    values = {
        "x": [number / count for number in range(count)],
        "rate": [10 ** -((number * 7 % count) / 6) for number in range(count)],
        "n": [1 + number * 5 % count for number in range(count)],
        "kind": ["ab"[number * 3 % 2] for number in range(count)],
    }
    reports = [[(x - 0.5) ** 2] for x in values["x"]]
    return experiment(parameters=SPACE), snapshot_of(*reports, states={3: "failed", 5: "early_stopped"}, **values)


def test_the_parameter_that_decides_is_the_most_important(finished):
    made, snapshot = finished
    found = parameter_importance(made, snapshot.trials)
    assert next(iter(found)) == "x"
    assert found["x"] > 0.8
    assert sum(found.values()) == pytest.approx(1)


def test_importance_needs_enough_values_that_differ(experiment, snapshot_of):
    assert parameter_importance(experiment(), snapshot_of(*[[0.1 * n] for n in range(9)]).trials) == {}
    assert parameter_importance(experiment(), snapshot_of(*[[0.5]] * 20).trials) == {}


def test_the_page_says_what_is_best_and_shows_the_search_and_every_trial(finished):
    made, snapshot = finished
    html = tuning_page(made, snapshot, result_of(made, snapshot))
    for text in (
        "t-12 is best",
        "Parameters and outcome",
        "Importance",
        "early stopped",
        "out of memory",
        "All trials",
    ):
        assert text in html, text
    assert len(re.findall(r"<td>|<th scope", html)) >= 24
    assert html.count('<svg class="drawing"') == 3
    assert html == tuning_page(made, snapshot, result_of(made, snapshot)), "the same trials give the same page"
    assert not re.search(r"<script|https?://", html.replace("http://www.w3.org", ""))


def test_a_search_of_one_trial_has_a_page(experiment, snapshot_of):
    made, snapshot = experiment(), snapshot_of([0.5])
    html = tuning_page(made, snapshot, result_of(made, snapshot))
    assert "Importance needs 10 trials" in html


@pytest.mark.parametrize(("kind", "last"), [("minimize", 1), ("maximize", 2)])
def test_the_best_trial_is_drawn_on_top(snapshot_of, kind, last):
    trials = snapshot_of([0.5], [0.1], [0.9]).trials
    assert best_last(Objective(metric="loss", type=kind), trials)[-1].number == last


@pytest.mark.parametrize("kind", ["minimize", "maximize"])
def test_of_equal_trials_the_one_that_is_best_is_drawn_on_top(snapshot_of, kind):
    trials = snapshot_of([0.5], [0.5], [0.5]).trials
    objective = Objective(metric="loss", type=kind)
    assert best_last(objective, trials)[-1] is best_trial(objective, trials)
