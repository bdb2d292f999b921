"""Trials made of the template."""

import json

from ropewalk.tuning.parse import parse_experiment, read_experiment
from ropewalk.tuning.render import render_trial, typed_value, value_text
from ropewalk.tuning.spec import Parameter


def _first(parameter):
    return (
        parameter.values[0] if parameter.values else parameter.min if parameter.type == "double" else int(parameter.min)
    )


def test_placeholders_become_the_trials_values(katib):
    values = {"lr": 1e-05, "size": 32, "optimizer": "adam"}
    rendered = render_trial(parse_experiment(katib()), name="mine-1", values=values)
    (container,) = rendered["spec"]["template"]["spec"]["containers"]
    assert container["command"][2:] == ["--lr=1e-05", "--size=32", "--optimizer=adam"]
    assert rendered["metadata"] == {"name": "mine-1", "namespace": "team"}


def test_the_trials_own_facts_are_known(katib):
    values = katib()
    template = values["spec"]["trialTemplate"]
    facts = {"n": "Name", "s": "Namespace", "k": "Kind", "a": "APIVersion", "l": "Labels[x/y]", "o": "Annotations[z]"}
    template["trialSpec"]["metadata"] = {"labels": {"x/y": "label"}, "annotations": {"z": "note"}}
    template["trialParameters"] += [{"name": key, "reference": f"${{trialSpec.{fact}}}"} for key, fact in facts.items()]
    (container,) = template["trialSpec"]["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": key, "value": f"<${{trialParameters.{key}}}>"} for key in facts]
    found = render_trial(parse_experiment(values), name="t", values={"lr": 0.02, "size": 16, "optimizer": "sgd"})
    (container,) = found["spec"]["template"]["spec"]["containers"]
    shown = {each["name"]: each["value"] for each in container["env"]}
    assert shown == {"n": "<t>", "s": "<team>", "k": "<Job>", "a": "<batch/v1>", "l": "<label>", "o": "<note>"}


def test_the_template_is_left_as_it_was(katib):
    experiment = parse_experiment(katib())
    before = json.dumps(experiment.trial.manifest)
    render_trial(experiment, name="t", values={"lr": 0.02, "size": 16, "optimizer": "sgd"})
    assert json.dumps(experiment.trial.manifest) == before


def test_published_examples_render_without_a_placeholder_left(example):
    experiment = read_experiment(example)
    values = {parameter.name: _first(parameter) for parameter in experiment.parameters}
    rendered = render_trial(experiment, name="trial-1", values=values)
    assert "${" not in json.dumps(rendered)
    assert rendered["metadata"]["name"] == "trial-1"


def test_texts_become_values_of_the_parameters_type_and_back():
    kinds = [("double", "0.5", 0.5), ("int", "4", 4), ("int", "4.0", 4), ("discrete", "2", 2), ("discrete", "0.5", 0.5)]
    for kind, text, value in [*kinds, ("categorical", "2", "2")]:
        found = typed_value(Parameter(name="x", type=kind), text)
        assert (found, type(found)) == (value, type(value))
    assert [value_text(value) for value in (0.1 + 0.2, 1e-05, 3, "a")] == ["0.30000000000000004", "1e-05", "3", "a"]
