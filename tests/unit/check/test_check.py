import json
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.check.check import check
from ropewalk.errors import ConfigError, SourceError, TrackingError


def test_each_section_is_handed_back_with_empty_ones_filled_in() -> None:
    assert check({"training": {"dropout": 0.3}}) == {
        "data": {},
        "validation": {},
        "preprocess": {},
        "training": {"dropout": 0.3},
        "tuning": {},
        "evaluation": {},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": {"trainning": {}}}, r"no section 'trainning'\. Did you mean 'training'\?"),
        ({"config": {"data": {"patern": "*"}}}, r"data\.patern: .* Did you mean 'pattern'\?"),
        ({"config": {"training": 3}}, "training=3: need an object"),
        ({"config": {"training": {"droput": 0.1}}}, r"training\.droput: .* Did you mean 'dropout'\?"),
        ({"config": {"preprocess": {"test_fraction": 2}}}, r"preprocess\.test_fraction=2"),
        ({"config": {"evaluation": {"minimum": {"auc": 0.5}}}}, "evaluation"),
        ({"config": {"training": {"architecture": "gbtd"}}}, "Did you mean 'gbdt'"),
        ({"config": {"training": {"weight_column": "w"}}}, r"weight_column='w': name it in preprocess\.ignore too"),
        ({"config": {}, "task": "binry"}, "Did you mean 'binary'"),
        ({"config": {}, "epochs": -1}, "epochs=-1"),
        ({"config": {"tuning": {"algoritm": "tpe"}}}, r"tuning\.algoritm: .* Did you mean 'algorithm'"),
        ({"config": {"tuning": {"algorithm": "tpx"}}}, r"tuning\.algorithm: 'tpx' is not known"),
        ({"config": {}, "search": {"droput": [0.1]}}, r"search\.droput: .* Did you mean 'dropout'"),
        ({"config": {"training": {"width": 8}}, "search": {"width": [8]}, "max_trials": 1}, r"search\.width: training"),
        ({"config": {"tuning": {"algorithm": "cmaes"}}, "search": {"dropout": [0.1]}}, "cmaes needs two or more"),
        ({"config": {}, "push_to": "/data/o'hara.git"}, "push_to=.* holds a quotation mark"),
        ({"config": {}, "model_name": "a/b"}, "'a/b' cannot name a registered model"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(**arguments)


def test_a_weight_column_that_is_ignored_as_a_feature_passes() -> None:
    config = {"training": {"weight_column": "w"}, "preprocess": {"ignore": ["w"]}}
    assert check(config)["training"] == {"weight_column": "w"}


def test_a_search_is_checked_only_where_something_is_searched() -> None:
    settled = {"training": {"architecture": "linear", "learning_rate": 0.1, "weight_decay": 0.0}}
    assert check(settled)["training"] == settled["training"]
    with pytest.raises(ConfigError, match="training settles all that is searched by default"):
        check(settled, max_trials=3)


def test_a_url_with_credentials_is_refused_without_repeating_them() -> None:
    with pytest.raises(SourceError) as caught:
        check({}, data="https://me:hunter2@example.com/data")
    assert "hunter2" not in str(caught.value)


def test_problems_of_several_sections_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        check({"training": {"dropout": 3}, "preprocess": {"ingore": ["x"]}}, task="what")
    assert str(caught.value).count("\n  - ") == 3


def test_a_pod_without_a_tracking_server_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "ROPEWALK_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(TrackingError, match="mlflow_tracking_uri"):
        check({})


def test_checking_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = {"torch", "mlflow", "dvc", "sklearn", "pandas", "kfp"}
    code = f"import sys, ropewalk.check.check; print(*{heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_the_command_line_prints_sections_and_fails_with_the_message() -> None:
    command = [sys.executable, "-m", "ropewalk.check", "--config"]
    passed = subprocess.run([*command, '{"training": {"width": 64}}'], capture_output=True, text=True)
    assert json.loads(passed.stdout)["training"] == {"width": 64}
    failed = subprocess.run([*command, '{"training": {"width": 0}}'], capture_output=True, text=True)
    assert failed.returncode == 1
    assert "training.width=0: need at least 1" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_repository_to_push_to_may_not_hold_credentials() -> None:
    with pytest.raises(SourceError) as refused:
        check({}, push_to="https://me:secret@example.invalid/data.git")
    assert "secret" not in str(refused.value)
