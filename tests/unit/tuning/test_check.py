"""What is refused before anything starts, where Katib would fail later or loop."""

import pytest

from ropewalk.errors import ConfigError
from ropewalk.tuning.check import check_experiment
from ropewalk.tuning.parse import parse_experiment
from ropewalk.tuning.spec import Experiment, Objective, Parameter, TrialTemplate

DOUBLE = {"name": "x", "type": "double", "min": 0, "max": 1}
KIND = {"name": "x", "type": "categorical"}
EPOCHS = {"name": "epochs", "type": "int", "min": 1, "max": 9}
HYPERBAND = {"algorithm": {"name": "hyperband", "settings": {"r_l": 9, "resource_name": "epochs"}}}
CASES = [
    ({"name": "Upper"}, "name: 'Upper': need lower case"),
    ({"name": "a" * 41}, "41 characters: at most 40"),
    ({"name": "ends-"}, "from a letter to no dash"),
    ({"parameters": []}, "parameters: there is none"),
    ({"parameters": [{**DOUBLE, "distribution": "logUniform"}]}, "0: logUniform takes logarithms"),
    ({"parameters": [{**DOUBLE, "values": [1]}]}, "parameters[0].values: a double has min and max, no list"),
    ({"parameters": [{"name": "x", "type": "double", "min": 0}]}, "parameters[0].max: a double needs it"),
    ({"parameters": [{**DOUBLE, "step": 0}]}, "parameters[0].step: 0: need more than 0"),
    ({"parameters": [{**DOUBLE, "step": 2}]}, "at most max - min = 1"),
    ({"parameters": [{**DOUBLE, "min": 0.1, "distribution": "logUniform", "step": 0.1}]}, "logUniform takes no step"),
    ({"parameters": [{"name": "x", "type": "int", "min": 1, "max": 2.5}]}, "2.5 is not whole"),
    ({"parameters": [{"name": "x", "type": "double", "min": 0, "max": "inf"}]}, "inf is not finite"),
    ({"parameters": [{"name": "x", "type": "categorical", "values": []}]}, "parameters[0].values: it is empty"),
    ({"parameters": [{"name": "x", "type": "categorical", "values": ["a", "a"]}]}, "'a' stands 2 times"),
    (
        {"parameters": [{**KIND, "values": ["a", "it's"]}]},
        """parameters[0].values[1]: "it's" has "'", which the shell""",
    ),
    ({"parameters": [{**KIND, "values": ['say "x"']}]}, """has '"', which breaks the trial's resource"""),
    ({"parameters": [{"name": "x", "type": "discrete", "values": [1, "a"]}]}, "'a' is not a finite number"),
    ({"parameters": [{"name": "x", "type": "discrete", "values": [1], "min": 1}]}, "a list of values only"),
    ({"objective": {"metric": "a", "type": "minimize", "additional": ["a"]}}, "'a' is the objective itself"),
    ({"objective": {"metric": "a", "type": "minimize", "goal": "nan"}}, "objective.goal: nan is not finite"),
    ({"objective": {"metric": "a", "type": "minimize", "strategies": {"b": "max"}}}, "no such metric"),
    ({"objective": {"metric": "a", "type": "minimize", "strategies": {"a": "mean"}}}, "Known: latest, min, max"),
    ({"limits": {"parallel": 0}}, "limits.parallel: 0: need 1 or more"),
    ({"trial": {"command": ["train"]}}, "parameters[0].name: no trial parameter refers to 'x'"),
    ({"limits": {"max_trials": 2, "parallel": 3}}, "3 is more than max_trials=2"),
    ({"limits": {"max_trials": 2, "max_failed": 3}}, "limits.max_failed: 3: need 0 to max_trials=2"),
    ({"limits": {"trial_seconds": 0}}, "limits.trial_seconds: 0.0: need seconds above 0"),
    ({"metrics": {"kind": "File", "path": "m.log"}}, "File needs an absolute path"),
    ({"metrics": {"kind": "StdOut", "format": "JSON"}}, "JSON is read from files only"),
    ({"metrics": {"kind": "File", "path": "/m", "format": "JSON", "filters": ["(a)(b)"]}}, "JSON takes no filters"),
    ({"metrics": {"filters": [r"(a)(?=b)(c)"]}}, "metrics.filters[0]: '(a)(?=b)(c)' is no RE2 expression"),
    ({"metrics": {"filters": [r"(\w+)=1"]}}, "has 1 groups: need two"),
    (
        {"algorithm": {"name": "bayesianopt"}},
        "algorithm.name: 'bayesianopt' is not known. Did you mean 'bayesianoptimization'?",
    ),
    ({"algorithm": {"name": "tpe", "settings": {"n_startup_trials": 3}}}, "tpe has no such setting"),
    ({"algorithm": {"name": "tpe", "settings": {"gamma": 1}}}, "need more than 0 and less than 1"),
    ({"algorithm": {"name": "random", "settings": {"random_state": "1.5"}}}, "is not a whole number"),
    ({"algorithm": {"name": "cmaes"}}, "cmaes needs two or more"),
    ({"algorithm": {"name": "cmaes", "settings": {"restart_strategy": "x"}}}, "not one of none, ipop, bipop"),
    ({"algorithm": {"name": "grid"}}, "parameters[0].step: grid needs the step"),
    ({"algorithm": {"name": "grid"}, "parameters": [{**DOUBLE, "step": 0.5}]}, "4 is more than the 3 combinations"),
    ({"algorithm": {"name": "hyperband"}}, "algorithm.settings.r_l: hyperband needs it"),
    ({"algorithm": {"name": "hyperband", "settings": {"r_l": 9, "resource_name": "y"}}}, "'y' is no parameter"),
    (
        HYPERBAND | {"parameters": [DOUBLE, {**EPOCHS, "min": 3, "max": 2}]},
        "parameters[1].min: 3 is not less than max=2",
    ),
    (
        HYPERBAND | {"parameters": [DOUBLE, {**EPOCHS, "max": 1}, {**EPOCHS, "name": "y", "max": 1}]},
        "parameters[2].min",
    ),
    (
        HYPERBAND | {"parameters": [{"name": "epochs", "type": "categorical", "values": ["1"]}, DOUBLE]},
        "'epochs' is of type categorical; the resource must be an int or double",
    ),
    (
        HYPERBAND | {"parameters": [EPOCHS, {"name": "size", "type": "discrete", "values": [0.5, 1]}]},
        "parameters[1].values: hyperband takes discrete values only as whole numbers",
    ),
    ({"algorithm": {"name": "hyperband", "settings": {"r_l": 9, "eta": 1}}}, "settings.eta: 1: need 2 or more"),
    ({"algorithm": {"name": "pbt"}}, "parameters[0].step: pbt needs the step of a double"),
    (
        {"algorithm": {"name": "pbt"}, "parameters": [{"name": "x", "type": "int", "min": 1, "max": 2}]},
        "pbt crashes on an int: make it a discrete",
    ),
    ({"algorithm": {"name": "tpe", "settings": {"prior_weight": "0"}}}, "'0': need more than 0"),
    ({"algorithm": {"name": "sobol", "settings": {"random_state": 1}}}, "sobol has no such setting. It has: none"),
    (
        {"algorithm": {"name": "bayesianoptimization", "settings": {"acq_func": "UCB"}}},
        "'UCB' is not one of gp_hedge, LCB, EI, PI, EIps, PIps",
    ),
    ({"parameters": [{**DOUBLE, "min": 1}]}, "parameters[0].min: 1 is not less than max=1"),
    ({"parameters": [{**DOUBLE, "min": 0, "distribution": "logNormal"}]}, "0: logNormal takes logarithms"),
    ({"parameters": [DOUBLE, DOUBLE]}, "parameters: the name 'x' stands 2 times"),
    ({"parameters": [{"name": "x", "type": "int", "min": 1, "max": 9, "step": 1.5}]}, "1.5 is not whole"),
    ({"algorithm": {"name": "pbt", "settings": {"resample_probability": 0.5}}}, "pbt has no such setting"),
    ({"algorithm": {"name": "pbt", "settings": {"n_population": 4}}}, "need 5 or more"),
    ({"early_stopping": {"name": "median"}}, "'median' is not known. Did you mean 'medianstop'?"),
    ({"early_stopping": {"settings": {"start_step": 0}}}, "early_stopping.settings.start_step: 0: need 1 or more"),
]


@pytest.mark.parametrize(("changes", "message"), CASES, ids=[message[:60] for _, message in CASES])
def test_what_makes_no_sense_is_refused(spec, changes, message):
    with pytest.raises(ConfigError) as refused:
        parse_experiment(spec(**changes))
    assert message in str(refused.value)


def test_an_experiment_made_in_python_is_checked_the_same_way():
    experiment = Experiment(
        name="mine",
        parameters=(Parameter(name="x", type="double", min=2, max=1),),
        objective=Objective(metric="loss", type="minimize"),
        trial=TrialTemplate(manifest={}, parameters=(), primary_container="main"),
    )
    with pytest.raises(ConfigError, match=r"(?s)parameters\[0\]\.min: 2 is not less.*trial\.manifest: there is none"):
        check_experiment(experiment)
