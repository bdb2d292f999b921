from collections.abc import Callable
from pathlib import Path

from kfp import dsl

from ropewalk.artifacts import MODEL, TRIALS, read_artifact
from ropewalk.components import tune_model

KINDS = {"model": dsl.Model, "trials": dsl.Dataset, "report": dsl.HTML, "metrics": dsl.Metrics}


def test_shipped_source_gives_the_best_model_and_typed_parameters(fitted: Callable[..., Path], tmp_path: Path) -> None:
    splits = fitted("regression")
    inputs = {name: dsl.Dataset(uri=str(splits / name)) for name in ("train", "validation", "preprocessor")}
    outputs = {name: kind(uri=str(tmp_path / name)) for name, kind in KINDS.items()}
    shipped: dict = {}
    exec(tune_model.component_spec.implementation.container.command[-1], shipped)
    best, value, trial = shipped["tune_model"](
        **inputs,
        **outputs,
        search={"boosting_leaves": [4.0], "boosting_rate": [0.5]},
        max_trials=1,
        epochs=2,
        training={"architecture": "gbdt", "device": "cpu"},
        config={"algorithm": "random"},
        task_config=dsl.TaskConfig(),
    )
    assert best == {"boosting_leaves": 4, "boosting_rate": 0.5}
    assert [type(each) for each in best.values()] == [int, float]
    assert outputs["metrics"].metadata["best_validation_rmse"] == value
    assert outputs["trials"].metadata["best_trial"] == trial
    assert outputs["trials"].metadata["digest"] == read_artifact(tmp_path / "trials", TRIALS).digest
    model = read_artifact(tmp_path / "model", MODEL)
    assert outputs["model"].metadata["digest"] == model.digest
    assert model.facts["validation_rmse"] == value
