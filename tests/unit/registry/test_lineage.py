from collections.abc import Callable
from pathlib import Path

from ropewalk.artifacts import EVALUATION, MODEL, read_artifact
from ropewalk.registry import lineage


def test_every_parameter_has_a_prefix_so_that_none_is_named_like_an_input(make_model: Callable[..., Path]) -> None:
    model = read_artifact(make_model(), MODEL)
    named = lineage.parameters(model, {"training": {"dropout": 0.1, "nested": {"a": 1}}, "environment": {"torch": "2"}})
    assert named["training.dropout"] == 0.1
    assert named["training.nested.a"] == 1
    assert named["training.best_epoch"] == 2
    assert {name.split(".")[0] for name in named} == {"training", "environment"}


def test_metrics_and_baselines_get_names_that_mlflow_takes_and_only_numbers() -> None:
    found = lineage.test_metrics({"f1[yes]": 0.5, "nan": float("nan")}, {"majority": {"f1[yes]": 0.1}})
    assert found == {"f1_yes_": 0.5, "baseline.majority.f1_yes_": 0.1}


def test_tags_lead_from_the_model_to_the_commit_of_its_data(
    make_model: Callable[..., Path], make_evaluation: Callable[..., Path], monkeypatch
) -> None:
    monkeypatch.setenv("ROPEWALK_RUN_ID", "local-7")
    path = make_model()
    model, evaluation = read_artifact(path, MODEL), read_artifact(make_evaluation(path), EVALUATION)
    tags = lineage.tags(model, evaluation, {"verdict": "hold", "reason": "too weak"}, run_id="r1", run_name="first")
    assert tags["data.commit"] == "c" * 40
    assert tags["data.path"] == "data/houses.csv"
    assert tags["lineage.raw-data.digest"] == model.made_from[0]["digest"]
    assert (tags["ropewalk.model_digest"], tags["ropewalk.verdict"]) == (model.digest, "hold")
    assert (tags["ropewalk.run_id"], tags["ropewalk.local_run_id"]) == ("r1", "local-7")


def test_the_description_tells_metrics_and_the_source_of_the_data(make_model: Callable[..., Path]) -> None:
    model = read_artifact(make_model(), MODEL)
    text = lineage.description(model, {"roc_auc": 0.91}, {"verdict": "promote", "reason": "Good."}, run_name="first")
    assert "| roc_auc | 0.91 |" in text
    assert "git@example.org:houses.git" in text


def test_the_history_of_the_machine_keeps_the_names_of_mlflows_system_metrics() -> None:
    history = [{"epoch": 2, "train_loss": 0.5, "system/cpu_utilization_percentage": 90.0}]
    assert lineage.training_steps(history) == {
        2: {"training.train_loss": 0.5, "system/cpu_utilization_percentage": 90.0}
    }


def test_tags_name_the_test_rows_the_rules_and_the_champion_that_it_was_compared_with(
    make_model: Callable[..., Path], make_evaluation: Callable[..., Path]
) -> None:
    path = make_model()
    decision = {
        "verdict": "hold",
        "reason": "too weak",
        "rules": [{"passed": True}, {"passed": False}],
        "champion": {"version": "3", "digest": "e", "problem": ""},
        "test_digest": "f" * 64,
    }
    model, evaluation = read_artifact(path, MODEL), read_artifact(make_evaluation(path), EVALUATION)
    tags = lineage.tags(model, evaluation, decision, run_id="r1", run_name="first")
    assert (tags["ropewalk.rules"], tags["ropewalk.compared_with"]) == ("1 of 2 passed", "3")
    assert tags["ropewalk.test_digest"] == "f" * 64


def test_credentials_in_the_source_of_the_data_reach_neither_tags_nor_description(
    make_model: Callable[..., Path], make_evaluation: Callable[..., Path]
) -> None:
    path = make_model()
    model, evaluation = read_artifact(path, MODEL), read_artifact(make_evaluation(path), EVALUATION)
    model.made_from[0]["facts"]["source"] = "https://me:s3cret@example.org/houses.git"
    decision = {"verdict": "hold", "reason": "too weak"}
    tags = lineage.tags(model, evaluation, decision, run_id="r1", run_name="first")
    text = lineage.description(model, {}, decision, run_name="first")
    assert tags["data.source"] == "https://***@example.org/houses.git"
    assert "s3cret" not in f"{tags} {text}"
