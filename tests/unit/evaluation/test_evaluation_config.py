"""Wrong settings of evaluation are refused with the name of the field and what to do."""

import math

import pytest

from ropewalk.config import parse_config
from ropewalk.errors import ConfigError
from ropewalk.evaluation.catalog import BY_TASK, METRICS
from ropewalk.evaluation.config import EvaluationConfig, check_limits


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minimum": {"roc_acu": 0.8}}, "Did you mean 'roc_auc'"),
        ({"minimum": {"rmse": 3.0}}, "move it to maximum"),
        ({"maximum": {"accuracy": 0.9}}, "move it to minimum"),
        ({"maximum": {"rmse": math.inf}}, "need a finite number"),
        ({"minimum": {"roc_auc": "high"}}, "evaluation.minimum"),
        ({"baseline_rows": -1}, "need 0"),
        ({"confidence_resamples": 99}, "need 100 to 100000"),
        ({"seed": -1}, "need 0 or more"),
        ({"minimal": {}}, "Did you mean 'minimum'"),
        ({"margin": 1.5}, "need a share, 0 to 1"),
        ({"slice_margin": -0.1}, "need a share, 0 to 1"),
        ({"calibration_limit": 2}, "need a share, 0 to 1"),
        ({"slice_limit": math.nan}, "need a finite number"),
        ({"slice_rows": 19}, "need 20 or more"),
        ({"row_milliseconds": 0}, "need a number above 0"),
        ({"batch_milliseconds": math.inf}, "need a number above 0"),
        ({"model_megabytes": -1}, "need a number above 0"),
        ({"importance_rows": -1}, "need 0"),
        ({"against_champion": "better"}, "'non_inferior' or 'superior'"),
        ({"incomparable_champion": "ignore"}, "'hold' or 'promote'"),
        ({"threshold": {"false_positive": 1}}, "give both costs"),
        ({"threshold": {"precision": 0.9, "recall": 0.9}}, "give both costs"),
        ({"threshold": {"precision": 1.1}}, "need a share above 0, up to 1"),
        ({"threshold": {"false_positive": 0, "false_negative": 5}}, "need a cost above 0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(EvaluationConfig, settings, section="evaluation")


def test_an_unknown_metric_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        EvaluationConfig(minimum={"gini": 0.5})
    assert all(name in str(caught.value) for name in METRICS if not METRICS[name].lower_is_better)


def test_whole_floats_from_kfp_count_as_integers() -> None:
    assert parse_config(EvaluationConfig, {"confidence_resamples": 200.0}).confidence_resamples == 200


@pytest.mark.parametrize("task", BY_TASK)
def test_a_limit_on_a_metric_of_another_task_is_refused(task: str) -> None:
    foreign = next(name for name in METRICS if name not in BY_TASK[task] and not METRICS[name].lower_is_better)
    with pytest.raises(ConfigError, match=f"which a {task} model does not have. It has: {BY_TASK[task][0]}"):
        check_limits(EvaluationConfig(minimum={foreign: 0.1}), task)


@pytest.mark.parametrize("task", BY_TASK)
def test_limits_on_the_tasks_own_metrics_are_accepted(task: str) -> None:
    names = BY_TASK[task]
    config = EvaluationConfig(
        minimum={name: 0.1 for name in names if not METRICS[name].lower_is_better},
        maximum={name: 9.0 for name in names if METRICS[name].lower_is_better},
    )
    check_limits(config, task)


def test_a_threshold_or_calibration_that_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="a multiclass model has none"):
        check_limits(EvaluationConfig(threshold={"recall": 0.9}), "multiclass")
    with pytest.raises(ConfigError, match="gives no probabilities"):
        check_limits(EvaluationConfig(calibration_limit=0.1), "regression")
    check_limits(EvaluationConfig(threshold={"recall": 0.9}, calibration_limit=0.1), "binary")
