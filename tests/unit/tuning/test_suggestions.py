"""What each algorithm suggests: in range, in type, the same for the same seed."""

import math

import pytest

from ropewalk.errors import ConfigError
from ropewalk.tuning.space import normal_quantile
from ropewalk.tuning.spec import Parameter
from ropewalk.tuning.suggestions import Exhausted, make_suggester

SPACE = [
    {"name": "rate", "type": "double", "min": 1e-4, "max": 0.1, "distribution": "logUniform"},
    {"name": "step", "type": "double", "min": 0.1, "max": 0.75, "step": 0.1},
    {"name": "width", "type": "int", "min": 1, "max": 10, "step": 4},
    {"name": "layers", "type": "int", "min": 1, "max": 64, "distribution": "logUniform"},
    {"name": "noise", "type": "double", "min": 0, "max": 1, "distribution": "normal"},
    {"name": "scale", "type": "int", "min": 1, "max": 100, "distribution": "logNormal"},
    {"name": "size", "type": "discrete", "values": [0.5, 1, 2]},
    {"name": "kind", "type": "categorical", "values": ["a b", "c"]},
]
SAMPLERS = ["random", "tpe", "multivariate-tpe", "cmaes", "sobol", "bayesianoptimization"]


def _ask(suggester, count=14):
    found = []
    for number in range(count):
        values = suggester.ask()
        found.append(values)
        suggester.tell(number, None if number == 3 else math.log10(values["rate"]) ** 2 + values["noise"])
    return found


@pytest.mark.parametrize("name", SAMPLERS)
def test_suggestions_are_in_range_on_steps_typed_and_repeatable(experiment, name):
    few = {"n_initial_points": "5"} if name == "bayesianoptimization" else {}
    made = experiment(parameters=SPACE, algorithm={"name": name, "settings": few})
    count = 7 if few else 14
    found = _ask(make_suggester(made, seed=5), count)
    for values in found:
        assert 1e-4 <= values["rate"] <= 0.1
        assert values["step"] in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
        assert values["width"] in (1, 5, 9)
        assert 0 <= values["noise"] <= 1
        assert values["size"] in (0.5, 1, 2)
        assert values["kind"] in ("a b", "c")
        for whole, most in (("layers", 64), ("scale", 100)):
            assert isinstance(values[whole], int)
            assert 1 <= values[whole] <= most
    assert len({values["rate"] for values in found}) > count // 2
    assert _ask(make_suggester(made, seed=5), count) == found
    assert _ask(make_suggester(made, seed=6), 3) != found[:3]


def test_the_algorithms_random_state_goes_before_the_seed(experiment):
    made = experiment(parameters=SPACE, algorithm={"name": "random", "settings": {"random_state": "3"}})
    assert _ask(make_suggester(made, seed=5)) == _ask(make_suggester(made, seed=6))


def test_infinite_values_do_not_draw_the_search(experiment):
    made = experiment(algorithm={"name": "tpe", "settings": {"random_state": 1}}, limits={"max_trials": 40})
    suggester = make_suggester(made, 0)
    found = []
    for number in range(40):
        (x,) = suggester.ask().values()
        found.append(x)
        suggester.tell(number, -math.inf if x < -0.5 else abs(x - 0.5))
    assert sum(abs(x - 0.5) < 0.25 for x in found[20:]) > 10


def test_parallel_suggestions_differ(experiment):
    suggester = make_suggester(experiment(algorithm={"name": "tpe"}, limits={"max_trials": 30}), 0)
    assert len({suggester.ask()["x"] for _ in range(30)}) == 30


def test_settings_that_optuna_has_not_are_told(experiment):
    made = experiment(algorithm={"name": "tpe", "settings": {"gamma": "0.2", "n_EI_candidates": "5"}})
    (note,) = make_suggester(made, 0).notes
    assert "tpe runs here without gamma=0.2" in note


def test_the_grid_is_walked_once(experiment):
    space = [{"name": "x", "type": "int", "min": 1, "max": 4}]
    suggester = make_suggester(experiment(parameters=space, algorithm={"name": "grid"}), 0)
    assert [suggester.ask()["x"] for _ in range(4)] == [1, 2, 3, 4]
    assert suggester.ask() == Exhausted()


def test_pbt_is_refused_with_what_to_do(experiment):
    space = [{"name": "x", "type": "double", "min": 0, "max": 1, "step": 0.1}]
    made = experiment(parameters=space, algorithm={"name": "pbt"})
    with pytest.raises(ConfigError, match="runs on a cluster only"):
        make_suggester(made, 0)


@pytest.mark.parametrize(("kind", "middle", "low"), [("normal", 5.5, 1), ("logNormal", math.sqrt(10), 1)])
def test_normal_distributions_are_cut_at_the_range_and_have_its_middle(kind, middle, low):
    parameter = Parameter(name="x", type="double", min=low, max=10, distribution=kind)
    shares = [normal_quantile(parameter, share) for share in (0, 0.1587, 0.5, 1)]
    assert shares[0] == pytest.approx(low)
    assert shares[2] == pytest.approx(middle)
    assert shares[3] == pytest.approx(10)
    deviation = (10 - 1) / 6 if kind == "normal" else math.log(10) / 6
    one = shares[2] - shares[1] if kind == "normal" else math.log(shares[2] / shares[1])
    assert one == pytest.approx(deviation, rel=0.01)
