"""Our experiments as Katib's resource, held against Katib's models and published schema."""

import json
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.tuning.katib_export import export_experiment
from ropewalk.tuning.parse import parse_experiment, read_experiment

SCHEMA = Path(__file__).parents[4] / "shared" / "contracts" / "katib" / "katib_v1beta1.swagger.json"


def test_every_strategy_is_written_out_because_katibs_default_is_another(experiment):
    objective = {"metric": "loss", "type": "minimize", "additional": ["acc"]}
    body = export_experiment(experiment(objective=objective))
    assert body["spec"]["objective"]["metricStrategies"] == [
        {"name": "loss", "value": "latest"},
        {"name": "acc", "value": "latest"},
    ]


def test_an_exported_experiment_reads_back_the_same(experiment):
    ours = experiment(
        parameters=[
            {"name": "rate", "type": "double", "min": 1e-5, "max": 0.1, "distribution": "logUniform"},
            {"name": "layers", "type": "int", "min": 1, "max": 9, "step": 2},
            {"name": "size", "type": "discrete", "values": [0.5, 1, 2]},
            {"name": "kind", "type": "categorical", "values": ["a b", "c;d", "$e"]},
        ],
        objective={
            "metric": "loss",
            "type": "maximize",
            "goal": 0.9,
            "additional": ["acc"],
            "strategies": {"loss": "latest", "acc": "max"},
        },
        algorithm={"name": "tpe", "settings": {"n_EI_candidates": "24"}},
        early_stopping={"settings": {"start_step": "2"}},
        metrics={"kind": "File", "path": "/m/log", "filters": [r"(\w+): (\d+)"]},
        limits={"parallel": 2, "max_trials": 7, "max_failed": 1},
        labels={"team": "a"},
        namespace="ns",
    )
    assert parse_experiment(export_experiment(ours)) == ours


def test_published_examples_survive_the_way_there_and_back(example):
    imported = read_experiment(example)
    assert parse_experiment(export_experiment(imported)) == imported


def test_the_trials_time_limit_becomes_the_jobs_deadline(experiment):
    body = export_experiment(experiment(limits={"max_trials": 1, "trial_seconds": 90.5}))
    assert body["spec"]["trialTemplate"]["trialSpec"]["spec"]["activeDeadlineSeconds"] == 91


@pytest.mark.skipif(not SCHEMA.exists(), reason=f"Katib's schema is not at {SCHEMA}")
def test_every_field_is_in_the_published_schema(experiment):
    definitions = json.loads(SCHEMA.read_text())["components"]["schemas"]

    def check(value, schema, path):
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        if isinstance(value, dict) and "properties" in schema:
            for name, each in value.items():
                assert name in schema["properties"], f"{path}.{name}"
                check(each, schema["properties"][name], f"{path}.{name}")
        elif isinstance(value, list):
            for each in value:
                check(each, schema["items"], path)

    body = export_experiment(experiment(early_stopping={}, metrics={"kind": "File", "path": "/m"}))
    check(body, definitions["v1beta1.Experiment"], "")


CASES = [
    ({"name": "a" * 27, "algorithm": {"name": "pbt"}, "limits": {"max_trials": 9}}, "with pbt at most 26"),
    ({"algorithm": {"name": "sobol"}}, "Katib's sobol ignores logUniform"),
    ({"algorithm": {"name": "hyperband", "settings": {"r_l": 27, "resource_name": "x"}}}, "= 27 or more"),
]


@pytest.mark.parametrize(("changes", "message"), CASES, ids=[case[1] for case in CASES])
def test_what_katib_would_ignore_or_fail_on_is_refused_for_katib_alone(experiment, changes, message):
    space = [{"name": "x", "type": "double", "min": 1, "max": 2, "distribution": "logUniform"}]
    if "pbt" in message:
        space = [{"name": "x", "type": "double", "min": 1, "max": 2, "step": 0.5}]
    accepted = experiment(parameters=space, **changes)
    with pytest.raises(ConfigError) as refused:
        export_experiment(accepted)
    assert message in str(refused.value)


def test_bayesian_optimisation_of_katib_takes_logarithms_of_doubles(experiment):
    with pytest.raises(ConfigError, match="takes logarithms of doubles"):
        export_experiment(experiment(algorithm={"name": "bayesianoptimization"}))
