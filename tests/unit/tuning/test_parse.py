"""Experiments in our own form: what is accepted, and that everything wrong is named at once."""

import json

import pytest

from ropewalk.errors import ConfigError
from ropewalk.tuning.parse import parse_experiment, read_experiment
from ropewalk.tuning.spec import EarlyStopping, Parameter


def test_a_spec_becomes_frozen_dataclasses_with_defaults(spec):
    found = parse_experiment(spec(early_stopping={"settings": {"start_step": 2}}))
    assert found.parameters == (Parameter(name="x", type="double", min=-1.0, max=1.0),)
    assert (found.limits.parallel, found.limits.max_trials, found.limits.max_failed) == (1, 4, None)
    assert found.early_stopping == EarlyStopping(settings={"start_step": 2})


def test_the_latest_report_counts_unless_a_strategy_says_otherwise(spec):
    objective = {"metric": "loss", "type": "minimize", "additional": ["acc"], "strategies": {"acc": "max"}}
    found = parse_experiment(spec(objective=objective)).objective
    assert (found.strategy("loss"), found.strategy("acc")) == ("latest", "max")


def test_numbers_may_be_texts_and_whole_numbers_floats(spec):
    space = [{"name": "n", "type": "int", "min": "1", "max": 4.0}]
    found = parse_experiment(spec(parameters=space, limits={"max_trials": 3.0}))
    assert (found.parameters[0].min, found.limits.max_trials) == (1.0, 3)
    assert isinstance(found.limits.max_trials, int)


def test_all_that_is_wrong_is_named_at_once_with_its_place(spec):
    space = [
        {"name": "x", "type": "double", "min": 1, "max": 1},
        {"name": "x", "type": "float", "mix": 3},
        {"name": "z", "type": "int", "min": "a", "max": 4},
    ]
    values = spec(parameters=space, objective={"metric": "", "type": "less"}, limits={"paralel": 2, "max_trials": 0})
    with pytest.raises(ConfigError) as refused:
        parse_experiment(values)
    text = str(refused.value)
    for place in (
        "parameters[0].min: 1 is not less than max=1",
        "parameters: the name 'x' stands 2 times",
        "parameters[1].type: 'float' is not known.",
        "parameters[1].mix: there is no such field. Did you mean 'min'?",
        "parameters[2].min: 'a' is not a number",
        "objective.metric: it is empty",
        "objective.type: 'less' is not known. Known: minimize, maximize",
        "limits.paralel: there is no such field. Did you mean 'parallel'?",
        "limits.max_trials: 0: need 1 or more",
    ):
        assert place in text, place
    assert text.count("parameters[2].min") == 1, "one problem is named once"


def test_something_that_is_no_object_is_refused_by_name():
    with pytest.raises(ConfigError, match="is no object"):
        parse_experiment(["not", "a", "mapping"])


@pytest.mark.parametrize(("name", "write"), [("s.json", json.dumps), ("s.yaml", json.dumps)])
def test_a_file_of_json_or_yaml_is_read(tmp_path, spec, name, write):
    (tmp_path / name).write_text(write(spec()))
    assert read_experiment(tmp_path / name) == parse_experiment(spec())


def test_a_file_that_is_missing_or_broken_is_refused_with_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read"):
        read_experiment(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml is no YAML"):
        read_experiment(tmp_path / "broken.yaml")


def test_a_command_becomes_a_job_of_one_quoted_line(spec):
    trial = {
        "command": ["train", "--x=${trialParameters.x}", "a b;c"],
        "image": "i",
        "env": {"RUN": "${trialParameters.trial_name}"},
    }
    template = parse_experiment(spec(trial=trial)).trial
    (container,) = template.manifest["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c"]
    assert container["args"] == ["train '--x=${trialParameters.x}' 'a b;c'"]
    assert {each.name: each.reference for each in template.parameters} == {"x": "x", "trial_name": "${trialSpec.Name}"}
    assert template.manifest["spec"]["backoffLimit"] == 0
