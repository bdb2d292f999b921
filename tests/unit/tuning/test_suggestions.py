"""What each algorithm suggests: in range, in type, the same for the same seed."""

import math
from statistics import stdev

import pytest

from ropewalk.errors import ConfigError
from ropewalk.tuning.local import LocalEngine
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
    count = 6 if few else 14
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


def test_pbt_is_refused_before_anything_is_written(experiment, tmp_path):
    space = [{"name": "x", "type": "double", "min": 0, "max": 1, "step": 0.1}]
    made = experiment(parameters=space, algorithm={"name": "pbt", "settings": {"n_population": "5"}})
    with pytest.raises(ConfigError, match=r"pbt runs on a cluster only.*Choose tpe, or hyperband"):
        LocalEngine(tmp_path / "a").start(made)
    assert not (tmp_path / "a").exists()


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


PLANE = [
    {"name": "a", "type": "double", "min": -5, "max": 5},
    {"name": "b", "type": "int", "min": -3, "max": 40},
]


def _walk(suggester, count, parameters):
    found = []
    for number in range(count):
        values = suggester.ask()
        suggester.tell(number, (values["a"] - 1) ** 2 + abs(values["b"] - 7))
        found.append(tuple(values[each["name"]] for each in parameters))
    return found


def _direct(name, seed):
    from optuna import samplers

    return {
        "random": lambda: samplers.RandomSampler(seed=seed),
        "tpe": lambda: samplers.TPESampler(seed=seed, multivariate=False),
        "multivariate-tpe": lambda: samplers.TPESampler(seed=seed, multivariate=True),
        "cmaes": lambda: samplers.CmaEsSampler(seed=seed),
        "sobol": lambda: samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed),
        "bayesianoptimization": lambda: samplers.GPSampler(seed=seed),
    }[name]()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", SAMPLERS)
def test_one_after_another_they_are_those_of_optunas_sampler_used_directly(experiment, name):
    import optuna

    count = 12 if name == "bayesianoptimization" else 25
    made = experiment(parameters=PLANE, algorithm={"name": name}, limits={"max_trials": count})
    study = optuna.create_study(sampler=_direct(name, seed=8))
    found = []
    for _ in range(count):
        trial = study.ask()
        found.append((trial.suggest_float("a", -5, 5), trial.suggest_int("b", -3, 40)))
        study.tell(trial, (found[-1][0] - 1) ** 2 + abs(found[-1][1] - 7))
    assert _walk(make_suggester(made, seed=8), count, PLANE) == found


@pytest.mark.parametrize("name", SAMPLERS)
def test_trials_without_a_value_do_not_end_the_search(experiment, name):
    made = experiment(parameters=PLANE, algorithm={"name": name}, limits={"max_trials": 13})
    suggester = make_suggester(made, 1)
    for number in range(13):
        values = suggester.ask()
        assert -5 <= values["a"] <= 5
        suggester.tell(number, [None, math.nan, math.inf][number % 3])


def test_the_ends_of_an_int_are_as_frequent_as_what_lies_between(experiment):
    space = [{"name": "n", "type": "int", "min": 1, "max": 4}]
    suggester = make_suggester(experiment(parameters=space), 0)
    found = [suggester.ask()["n"] for _ in range(600)]
    assert [found.count(value) for value in (1, 2, 3, 4)] == [pytest.approx(150, abs=30)] * 4


@pytest.mark.parametrize("name", ["random", "sobol", "cmaes", "bayesianoptimization"])
@pytest.mark.parametrize(
    ("distribution", "middle", "share"),
    [("uniform", 0.5, 0.5), ("logUniform", 0.01, 0.5), ("normal", 0.5, 0.5), ("logNormal", 0.01, 0.5)],
)
def test_the_distribution_is_heeded(experiment, name, distribution, middle, share):
    space = [
        {"name": name, "type": "double", "min": 1e-4, "max": 1, "distribution": distribution} for name in ("a", "b")
    ]
    settings = {"n_initial_points": "64"} if name == "bayesianoptimization" else {}
    made = experiment(parameters=space, algorithm={"name": name, "settings": settings}, limits={"max_trials": 64})
    suggester = make_suggester(made, 2)
    found = [value for _ in range(64) for value in suggester.ask().values()]
    assert sum(value < middle for value in found) / len(found) == pytest.approx(share, abs=0.12)


@pytest.mark.parametrize("kind", ["normal", "logNormal"])
def test_two_thirds_of_normal_values_lie_within_one_deviation(experiment, kind):
    space = [{"name": "x", "type": "double", "min": 1, "max": 100, "distribution": kind}]
    suggester = make_suggester(experiment(parameters=space), 4)
    found = [suggester.ask()["x"] for _ in range(500)]
    shares = [value if kind == "normal" else math.log(value) for value in found]
    low, high = (1, 100) if kind == "normal" else (0, math.log(100))
    near = [abs(each - (low + high) / 2) <= (high - low) / 6 for each in shares]
    assert sum(near) / len(near) == pytest.approx(0.683, abs=0.06)
    assert 1 <= min(found) <= max(found) <= 100


@pytest.mark.parametrize(
    ("name", "settings", "same"),
    [
        ("tpe", {"n_EI_candidates": "2"}, 10),
        ("multivariate-tpe", {"n_ei_candidates": "2"}, 10),
        ("multivariate-tpe", {"n_startup_trials": "4"}, 4),
        ("cmaes", {"sigma": "0.001"}, 1),
        ("bayesianoptimization", {"n_initial_points": "4"}, 4),
    ],
)
def test_a_setting_changes_what_comes_after_the_first_random_points(experiment, name, settings, same):
    def walk(settings):
        made = experiment(parameters=PLANE, algorithm={"name": name, "settings": settings}, limits={"max_trials": 12})
        return _walk(make_suggester(made, 3), same + 2, PLANE)

    plain, changed = walk({}), walk(settings)
    assert plain[:same] == changed[:same]
    assert plain[same:] != changed[same:]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tpe", {"gamma": "0.2", "prior_weight": "0.5"}),
        ("cmaes", {"restart_strategy": "bipop"}),
        ("bayesianoptimization", {"base_estimator": "RF", "acq_func": "gp_hedge", "acq_optimizer": "sampling"}),
    ],
)
def test_settings_that_optuna_has_not_are_told_each(experiment, name, settings):
    notes = make_suggester(experiment(parameters=PLANE, algorithm={"name": name, "settings": settings}), 0).notes
    assert [
        f"{name} runs here without {each}={value}" in note
        for (each, value), note in zip(settings.items(), notes, strict=True)
    ]
    assert len(notes) == len(settings)


def test_a_restart_strategy_of_none_is_what_optuna_does(experiment):
    made = experiment(parameters=PLANE, algorithm={"name": "cmaes", "settings": {"restart_strategy": "none"}})
    assert make_suggester(made, 0).notes == ()


def test_sigma_is_in_the_units_of_the_parameters(experiment):
    space = [{"name": name, "type": "double", "min": 0, "max": 1000} for name in ("a", "b")]
    made = experiment(parameters=space, algorithm={"name": "cmaes", "settings": {"sigma": "2"}})
    suggester = make_suggester(made, 3)
    suggester.ask()
    suggester.tell(0, 1.0)
    for _ in range(3):
        assert all(480 < value < 520 for value in suggester.ask().values())


@pytest.mark.parametrize("name", ["tpe", "multivariate-tpe"])
def test_trials_that_run_keep_others_away(experiment, name):
    import optuna

    suggester = make_suggester(experiment(algorithm={"name": name}, limits={"max_trials": 40}), 1)
    sampler = optuna.samplers.TPESampler(seed=1, multivariate=name != "tpe", constant_liar=False)
    crowding = optuna.create_study(sampler=sampler)
    for number in range(20):
        (x,) = suggester.ask().values()
        suggester.tell(number, (x - 0.3) ** 2)
        trial = crowding.ask()
        crowding.tell(trial, (trial.suggest_float("x", -1, 1) - 0.3) ** 2)
    apart = [suggester.ask()["x"] for _ in range(12)]
    crowd = [crowding.ask().suggest_float("x", -1, 1) for _ in range(12)]
    assert stdev(apart) > 3 * stdev(crowd)


def test_the_grid_is_walked_once(experiment):
    space = [{"name": "x", "type": "int", "min": 1, "max": 4}]
    suggester = make_suggester(experiment(parameters=space, algorithm={"name": "grid"}), 0)
    assert [suggester.ask()["x"] for _ in range(4)] == [1, 2, 3, 4]
    assert suggester.ask() == Exhausted()


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
