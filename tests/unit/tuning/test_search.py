"""The search space in short form."""

import pytest

from ropewalk.errors import ConfigError
from ropewalk.training.config import ARCHITECTURES, TrainingConfig
from ropewalk.tuning.search import default_search, read_search, searchable
from ropewalk.tuning.spec import Parameter


def test_settings_become_parameters_of_their_own_types():
    space = {
        "learning_rate": {"min": 1e-4, "max": 1e-2, "distribution": "logUniform"},
        # KFP delivers every number inside JSON as a float.
        "width": {"values": [128.0, 256.0]},
        "depth": {"min": 1.0, "max": 4.0},
        "dropout": [0, 0.5],
        "architecture": {"values": ["tabular", "gbdt"]},
        "epochs": {"min": 1, "max": 27},
    }
    assert read_search(space, {}) == (
        Parameter(name="learning_rate", type="double", min=1e-4, max=1e-2, distribution="logUniform"),
        Parameter(name="width", type="discrete", values=(128, 256)),
        Parameter(name="depth", type="int", min=1, max=4),
        Parameter(name="dropout", type="discrete", values=(0.0, 0.5)),
        Parameter(name="architecture", type="categorical", values=("tabular", "gbdt")),
        Parameter(name="epochs", type="int", min=1, max=27),
    )
    width = read_search(space, {})[1]
    assert [type(value) for value in width.values] == [int, int]


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "my.module:network"])
def test_every_architecture_has_a_space_that_training_takes(architecture):
    found = read_search({}, {"architecture": architecture})
    assert found
    expected = {"gbdt": "boosting_rate"}.get(architecture, "learning_rate")
    assert expected in [parameter.name for parameter in found]


def test_what_training_settles_is_not_searched_by_default_and_refused_when_asked_for():
    assert "dropout" not in default_search({"dropout": 0.1})
    with pytest.raises(ConfigError, match=r"search\.dropout: training settles it as 0\.1"):
        read_search({"dropout": {"min": 0, "max": 0.5}}, {"dropout": 0.1})
    with pytest.raises(ConfigError, match="training settles all"):
        read_search({}, dict.fromkeys(default_search({}), 1))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"drop_out": {"min": 0, "max": 1}}, r"search\.drop_out: .* Did you mean 'dropout'\?"),
        ({"class_weights": ["balanced"]}, r"search\.class_weights: there is no such setting to search"),
        ({"checkpoint": ["a"]}, r"search\.checkpoint: there is no such setting to search"),
        ({"dropout": {"min": 0, "max": 1.5}}, r"search\.dropout\.max: dropout=1\.5"),
        ({"width": {"values": [0, 16]}}, r"search\.width\.values: width=0: need at least 1"),
        ({"width": {"values": [16.5]}}, r"search\.width\.values: 16\.5: need a whole number"),
        ({"width": ["wide"]}, r"search\.width\.values: 'wide': need a whole number"),
        ({"dropout": {"min": 0}}, r'search\.dropout: give \{"min"'),
        ({"dropout": {"min": "low", "max": 1}}, r"search\.dropout\.min: 'low' is not a number"),
        ({"dropout": {"mni": 0, "max": 1}}, r"search\.dropout\.mni: .*Did you mean 'min'"),
        ({"dropout": 3}, r"search\.dropout: 3 is no object"),
        ({"architecture": {"min": 0, "max": 1}}, r"search\.architecture: it is a text"),
        ({"architecture": ["gbtd"]}, r"search\.architecture\.values: .*Did you mean 'gbdt'"),
        ({"width": {"min": 1, "max": 2, "values": [1]}}, r"search\.width: it has values and a range"),
        ({"epochs": {"min": 0, "max": 9}}, r"search\.epochs\.min: epochs=0"),
    ],
)
def test_what_training_would_refuse_is_refused_by_name(space, message):
    with pytest.raises(ConfigError, match=message):
        read_search(space, {})


def test_problems_of_several_settings_are_told_together():
    with pytest.raises(ConfigError) as refused:
        read_search({"dropout": {"min": 0, "max": 2}, "widht": [1], "depth": [0]}, {})
    assert str(refused.value).count("\n  - ") == 3


def test_all_that_can_be_searched_are_settings_of_training():
    assert searchable().keys() - {"epochs"} < vars(TrainingConfig()).keys()
