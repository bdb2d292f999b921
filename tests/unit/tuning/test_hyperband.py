"""Hyperband against the table of its paper, and what moves up."""

import pytest

from ropewalk.tuning.hyperband import HyperbandSuggester, Rung, rungs
from ropewalk.tuning.suggestions import Exhausted, Wait

SPACE = [
    {"name": "x", "type": "double", "min": 0, "max": 1},
    {"name": "epochs", "type": "int", "min": 1, "max": 9},
]
SETTINGS = {"r_l": "9", "resource_name": "epochs"}


def test_the_rungs_are_those_of_the_papers_table_for_81_and_3():
    found = [(rung.trials, rung.resource) for rung in rungs(81, 3)]
    assert found == [
        *((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
        *((34, 3), (11, 9), (3, 27), (1, 81)),
        *((15, 9), (5, 27), (1, 81)),
        *((8, 27), (2, 81)),
        (5, 81),
    ]


@pytest.mark.parametrize("power", range(1, 12))
def test_exact_powers_are_not_rounded_down(power):
    assert rungs(3.0**power, 3)[0] == Rung(3**power, 1.0, is_first=True)


@pytest.fixture
def suggester(experiment):
    made = experiment(
        parameters=SPACE, algorithm={"name": "hyperband", "settings": SETTINGS}, limits={"max_trials": 99}
    )
    return HyperbandSuggester(made, seed=1)


def test_a_rung_waits_until_the_one_before_it_has_ended_and_the_best_move_up(suggester):
    first = [suggester.ask() for _ in range(9)]
    assert isinstance(suggester.ask(), Wait)
    assert {each["epochs"] for each in first} == {1}
    for number, each in enumerate(first):
        assert isinstance(suggester.ask(), Wait)
        suggester.tell(number, each["x"])
    best = sorted(each["x"] for each in first)[:3]
    assert [suggester.ask() for _ in range(3)] == [{"x": x, "epochs": 3} for x in best]
    assert isinstance(suggester.ask(), Wait)


def test_trials_that_failed_do_not_move_up(suggester):
    first = [suggester.ask() for _ in range(9)]
    for number in range(9):
        suggester.tell(number, 0.5 if number == 4 else None)
    assert suggester.ask() == {**first[4], "epochs": 3}


def test_when_all_fail_the_next_bracket_starts_and_the_end_comes(suggester):
    asked = 0
    while not isinstance(found := suggester.ask(), Exhausted):
        assert not isinstance(found, Wait)
        suggester.tell(asked, None)
        asked += 1
    assert asked == 9 + 5 + 3
