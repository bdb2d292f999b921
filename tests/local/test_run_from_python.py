"""A notebook or script runs a pipeline by one call, and an exception says what went wrong."""

import pytest
from kfp import dsl

from ropewalk.errors import ConfigError, RunError
from ropewalk.launch.notebook import run_pipeline
from ropewalk.pipelines import training


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ROPEWALK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@dsl.component(base_image="example.org/python:1", install_kfp_package=False)
def add(a: int, b: int, flags: dict) -> int:
    if flags["fail"]:
        raise ValueError("nothing can be added today")
    return a + b


@dsl.pipeline(name="adding")
def adding(a: int, flags: dict = {"fail": False}):  # noqa: B006
    add(a=a, b=2, flags=flags)


def test_a_function_is_run_with_typed_parameters(capsys):
    run = run_pipeline(adding, a=3)
    assert run.steps[0]["outputs"]["parameters"] == {"Output": 5}
    assert "add: succeeded" in capsys.readouterr().out


def test_a_step_that_fails_raises_and_says_where_the_log_is(home):
    with pytest.raises(RunError, match=r"failed: .*nothing can be added today.* Logs: .*/logs\."):
        run_pipeline(adding, a=3, flags={"fail": True})


@pytest.mark.parametrize(
    ("pipeline", "parameters", "message"),
    [
        (training, {"epoch": 3}, "Did you mean 'epochs'?"),
        (training, {"epochs": 1.5}, "need a whole number"),
        (training, {"config": {"training": {"learning_rte": 1}}}, "learning_rate"),
        ("trainin", {}, "Did you mean 'training'?"),
        ("nowhere.yaml", {}, "Cannot read the pipeline"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_starts(home, pipeline, parameters, message):
    with pytest.raises(ConfigError, match=message):
        run_pipeline(pipeline, **parameters)
    assert not (home / "runs").exists()
