"""Experiments whose trials train on a pipeline's splits."""

import json
import shlex

import pytest

from ropewalk.errors import ConfigError
from ropewalk.training.metrics import SCORES
from ropewalk.tuning import config as tuning_config
from ropewalk.tuning.containers import primary_containers
from ropewalk.tuning.render import render_trial
from ropewalk.tuning.training_trials import Places, plan_experiment, read_request

PLACES = Places(
    train=f"s3://b/train#{'a' * 64}",
    validation=f"s3://b/validation#{'b' * 64}",
    preprocessor=f"s3://b/preprocessor#{'c' * 64}",
    models="s3://b/trials.models",
)


def request(search=None, *, max_trials=4, epochs=3, seed=5, training=None, config=None):
    return read_request(
        search or {"dropout": {"min": 0, "max": 0.5}},
        max_trials=max_trials,
        epochs=epochs,
        seed=seed,
        training=training or {},
        config=config or {},
    )


def plan(asked, *, task="binary", identity="s3://b/run-1/model", places=PLACES):
    program = ("python",)
    return plan_experiment(asked, places, task=task, parallel=2, program=program, identity=identity)


def argv(experiment, **values):
    resource = render_trial(experiment, name="tune-1-0007", values=values)
    (container,) = resource["spec"]["template"]["spec"]["containers"]
    return shlex.split(container["args"][0])


def test_a_trial_runs_training_with_its_parameters_and_the_digests_of_its_inputs():
    search = {"dropout": {"min": 0, "max": 0.5}, "width": [64, 128]}
    training = {"class_weights": {"it's": 2.0}, "depth": 2.0}
    found = argv(plan(request(search, training=training)), dropout=0.25, width=128)
    assert found[:3] == ["python", "-m", "ropewalk.training"]
    assert dict(zip(found[3::2], found[4::2], strict=True)) == {
        "--train": PLACES.train,
        "--validation": PLACES.validation,
        "--preprocessor": PLACES.preprocessor,
        "--model": "s3://b/trials.models/tune-1-0007",
        "--seed": "5",
        "--epochs": "3",
        "--settings": json.dumps({"class_weights": {"it's": 2.0}, "depth": 2}),
        "--dropout": "0.25",
        "--width": "128",
    }


def test_epochs_can_be_what_hyperband_gives_out():
    config = {"algorithm": "hyperband", "algorithm_settings": {"r_l": 9.0, "resource_name": "epochs", "eta": 3.0}}
    search = {"epochs": {"min": 1, "max": 9}, "dropout": {"min": 0, "max": 0.5}}
    experiment = plan(request(search, max_trials=20, config=config))
    assert experiment.algorithm.settings == {"r_l": 9, "resource_name": "epochs", "eta": 3}
    assert argv(experiment, epochs=3, dropout=0.1).count("--epochs") == 1


@pytest.mark.parametrize(
    ("task", "metric", "direction"),
    [
        ("binary", "validation_roc_auc", "maximize"),
        ("multiclass", "validation_log_loss", "minimize"),
        ("regression", "validation_rmse", "minimize"),
    ],
)
def test_what_is_optimised_is_the_score_by_which_training_keeps_an_epoch(task, metric, direction):
    objective = plan(request(), task=task).objective
    assert (objective.metric, objective.type) == (metric, direction)
    assert objective.strategy(metric) == "latest"
    assert metric == f"validation_{SCORES[task]}" == tuning_config.SCORES[task]


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(ConfigError, match="a regression training reports validation_rmse and validation_loss"):
        plan(request(config={"objective": "validation_roc_auc"}), task="regression")
    objective = plan(request(config={"objective": "validation_loss", "goal": 0.1}), task="regression").objective
    assert (objective.metric, objective.type, objective.goal) == ("validation_loss", "minimize", 0.1)


def test_a_name_belongs_to_the_step_and_to_what_is_searched():
    names = [
        plan(request()).name,
        plan(request(), identity="s3://b/run-2/model").name,
        plan(request(max_trials=5)).name,
    ]
    assert len(set(names)) == 3
    assert plan(request()).name == names[0]
    # A TrainJob's name may have 39 characters, the trial's own part among them.
    assert all(len(name) <= 24 for name in names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"config": {"algoritm": "tpe"}}, r"tuning\.algoritm: .*Did you mean 'algorithm'"),
        ({"config": {"algorithm": "tpee"}}, r"tuning\.algorithm: 'tpee' is not known\. Did you mean 'tpe'"),
        ({"config": {"algorithm_settings": {"gama": 0.2}}}, r"tuning\.algorithm_settings\.gama: .*'gamma'"),
        ({"config": {"max_failed": 9}}, r"tuning\.max_failed: 9: need 0 to max_trials=4"),
        ({"config": {"trial_seconds": 0}}, r"tuning\.trial_seconds"),
        ({"config": {"early_stopping": {"name": "median"}}}, r"tuning\.early_stopping\.name: 'median' is not known"),
        ({"config": {"objective": "loss"}}, r"objective='loss': need one of"),
        ({"config": {"algorithm": "grid"}}, r"search\.dropout\.step: grid needs the step of a double"),
        ({"training": {"droput": 1}}, r"training\.droput"),
        ({"epochs": -1}, "epochs=-1"),
        ({"search": {"dropout": {"min": 0.5, "max": 0.1}}}, r"search\.dropout\.min: 0\.5 is not less"),
        ({"search": {"width": {"min": 1, "max": 9, "distribution": "log"}}}, r"search\.width\.distribution"),
    ],
)
def test_what_is_wrong_is_refused_before_the_data_are_known(given, message):
    with pytest.raises(ConfigError, match=message):
        request(**given)


def test_an_experiment_of_ones_own_gets_the_data_by_its_environment(katib):
    experiment = plan(request_own(katib()))
    (container,) = primary_containers(experiment.trial)
    env = {entry["name"]: entry["value"] for entry in container.spec["env"]}
    assert env == {
        "ROPEWALK_TRAIN": PLACES.train,
        "ROPEWALK_VALIDATION": PLACES.validation,
        "ROPEWALK_PREPROCESSOR": PLACES.preprocessor,
        "ROPEWALK_MODELS": PLACES.models,
    }
    assert experiment.name.startswith("tune-")
    assert [parameter.name for parameter in experiment.parameters] == ["lr", "size", "optimizer"]


def request_own(experiment, search=None):
    config = {"experiment": experiment}
    return read_request(search or {}, max_trials=4, epochs=0, seed=0, training={}, config=config)


def test_a_wrong_experiment_of_ones_own_is_refused_and_a_search_beside_it_too(katib):
    with pytest.raises(ConfigError, match=r"search and tuning\.experiment are both given"):
        request_own(katib(), {"dropout": [0.1]})
    wrong = katib()
    wrong["spec"]["parallelTrialCount"] = 99
    with pytest.raises(ConfigError, match=r"tuning\.experiment is wrong:\n  - .*99"):
        request_own(wrong)
