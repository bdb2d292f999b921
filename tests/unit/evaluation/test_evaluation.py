"""Evaluating a real model writes a whole artifact and a whole page, or says why not."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sk

from ropewalk.artifacts import EVALUATION, MODEL, PREPROCESSOR, SPLIT, read_artifact
from ropewalk.errors import ArtifactError, ConfigError, DataError, TrainingError
from ropewalk.evaluation.catalog import BY_TASK, headline
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.evaluate import Evaluated, evaluate
from ropewalk.preprocess.splits import read_split, write_split
from ropewalk.training.model import TrainedModel, load_model

TASKS = ("binary", "multiclass", "regression")
FULL = EvaluationConfig(confidence_resamples=200)
QUICK = replace(FULL, baseline_rows=0, importance_rows=0)


@pytest.fixture
def run(fitted: Callable[[str], Path], tmp_path: Path) -> Callable[..., Evaluated]:
    def evaluate_it(task: str, config: EvaluationConfig = QUICK, **changed: Path) -> Evaluated:
        folder = fitted(task)
        paths = {name: folder / name for name in ("model", "train", "test")} | changed
        return evaluate(
            paths["model"],
            train=paths["train"],
            test=paths["test"],
            evaluation=tmp_path / "evaluation",
            report=tmp_path / "report.html",
            champion=paths.get("champion"),
            config=config,
        )

    return evaluate_it


@pytest.mark.parametrize("task", TASKS)
def test_the_artifact_holds_finite_scores_baselines_curves_and_the_decision(
    task: str, run: Callable[..., Evaluated], tmp_path: Path
) -> None:
    found = run(task, FULL)
    manifest = read_artifact(tmp_path / "evaluation", EVALUATION)
    names = ("metrics", "baselines", "champion", "decision", "curves", "slices", "importance")
    assert set(manifest.files) == {f"{name}.json" for name in names}
    contents = {name: json.loads((tmp_path / "evaluation" / name).read_text()) for name in manifest.files}
    assert contents["metrics.json"] == found.metrics
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert set(contents["baselines.json"]) == {"gradient_boosting", "trivial"}
    assert all(tuple(scores) == BY_TASK[task] for scores in contents["baselines.json"].values())
    assert contents["decision.json"]["verdict"] == found.verdict == "promote"
    assert manifest.facts["verdict"] == "promote"


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_lies_inside_its_interval_and_the_headline_beats_the_guess(
    task: str, run: Callable[..., Evaluated]
) -> None:
    metrics, best = run(task).metrics, headline(task).name
    for name in BY_TASK[task]:
        assert metrics[f"{name}_low"] < metrics[name] < metrics[f"{name}_high"]
    assert (metrics[best] < metrics[f"trivial_{best}"]) == headline(task).lower_is_better


def test_scores_are_those_of_the_models_own_predictions(
    run: Callable[..., Evaluated], fitted: Callable[[str], Path]
) -> None:
    model, (test, _) = load_model(fitted("binary") / "model"), read_split(fitted("binary") / "test")
    expected = sk.roc_auc_score(test["outcome"].to_pylist(), model.predict(test)[:, model.classes.index("yes")])
    assert run("binary").metrics["roc_auc"] == pytest.approx(expected)


@pytest.mark.parametrize("task", TASKS)
def test_evaluating_twice_gives_the_same_bytes(task: str, run: Callable[..., Evaluated]) -> None:
    assert run(task, FULL).manifest.digest == run(task, FULL).manifest.digest


def test_the_page_tells_data_model_champion_and_run_and_no_secret(
    run: Callable[..., Evaluated],
    fitted: Callable[..., Path],
    champion_of: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "pipeline.yaml").write_text("    image: example.org/steps:1\n", encoding="utf-8")
    given = {"data": "https://me:s3cret@example.org/x.git", "config": {"data": {"token": "s3cret"}}}
    (tmp_path / "run.json").write_text(json.dumps({"pipeline": "nightly", "parameters": given}), encoding="utf-8")
    monkeypatch.setenv("ROPEWALK_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("ROPEWALK_RUN_ID", "nightly-7")
    champion = champion_of(fitted("binary", "linear") / "model", version="41")
    run("binary", champion=champion)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    yaml = hashlib.sha256((tmp_path / "pipeline.yaml").read_bytes()).hexdigest()
    made = {"model": MODEL, "preprocessor": PREPROCESSOR, "train": SPLIT, "test": SPLIT}
    digests = [read_artifact(fitted("binary") / name, kind).digest for name, kind in made.items()]
    champions = read_artifact(fitted("binary", "linear") / "model", MODEL).digest
    for shown in ("c" * 40, "d" * 32, "version 41", "nightly-7", "example.org/steps:1", yaml, *digests, champions):
        assert shown in html, shown
    assert "(hidden)" in html
    assert "s3cret" not in html


def test_lineage_leads_from_the_evaluation_to_the_raw_data(run: Callable[..., Evaluated]) -> None:
    sources = run("binary").manifest.made_from
    assert [source["kind"] for source in sources] == ["model", "split"]
    assert sources[1]["made_from"][0]["facts"]["commit"] == "c" * 40


def test_kfp_metadata_has_a_curve_only_for_two_classes(run: Callable[..., Evaluated]) -> None:
    assert set(run("binary").classification) == {"confidenceMetrics", "confusionMatrix"}
    assert set(run("multiclass").classification) == {"confusionMatrix"}
    assert run("regression").classification == {}


def test_a_missed_limit_holds_the_model_and_still_writes_everything(
    run: Callable[..., Evaluated], tmp_path: Path
) -> None:
    found = run("regression", replace(QUICK, maximum={"rmse": 0.01}))
    assert found.verdict == "hold"
    assert "RMSE at most 0.0100 is required" in found.reason
    assert found.reason in (tmp_path / "report.html").read_text()


def test_without_baseline_rows_there_is_no_gradient_boosting(run: Callable[..., Evaluated], tmp_path: Path) -> None:
    found = run("binary", replace(FULL, baseline_rows=0))
    assert "gradient_boosting_roc_auc" not in found.metrics
    assert "boosting" not in (tmp_path / "report.html").read_text()


def test_a_model_is_not_scored_on_rows_that_it_learned_from(
    run: Callable[..., Evaluated], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    for split in ("train", "validation"):
        with pytest.raises(ArtifactError, match=f"the model's own {split} split"):
            run("binary", test=fitted("binary") / split)
    assert not (tmp_path / "evaluation").exists()
    assert not (tmp_path / "report.html").exists()


def test_a_split_of_another_target_is_refused(
    run: Callable[..., Evaluated], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    table, manifest = read_split(fitted("binary") / "test")
    write_split(tmp_path / "other", table, "test", target="colour", task="multiclass", made_from=manifest)
    with pytest.raises(ArtifactError, match="for the target 'colour', but the model predicts 'outcome'"):
        run("binary", test=tmp_path / "other")


def test_test_rows_of_one_class_are_refused(
    run: Callable[..., Evaluated], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    table, manifest = read_split(fitted("binary") / "test")
    only = table.filter(pa.array([value == "yes" for value in table["outcome"].to_pylist()]))
    write_split(tmp_path / "only", only, "test", target="outcome", task="binary", made_from=manifest)
    with pytest.raises(DataError, match="has 'yes' as its only target"):
        run("binary", test=tmp_path / "only")
    assert not (tmp_path / "evaluation").exists()


def test_an_altered_model_is_refused(
    run: Callable[..., Evaluated], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(fitted("binary") / "model", tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactError, match="has changed since it was written"):
        run("binary", model=tmp_path / "model")


def test_a_model_without_finite_predictions_is_refused(
    run: Callable[..., Evaluated], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainedModel, "predict", lambda _, table: np.full((table.num_rows, 2), np.nan))
    with pytest.raises(TrainingError, match="no finite prediction"):
        run("binary")


def test_a_limit_of_another_task_is_refused(run: Callable[..., Evaluated]) -> None:
    with pytest.raises(ConfigError, match="which a regression model does not have"):
        run("regression", replace(QUICK, minimum={"roc_auc": 0.5}))


def test_the_champion_is_compared_on_the_same_test_rows(
    run: Callable[..., Evaluated], fitted: Callable[..., Path], champion_of: Callable[..., Path], tmp_path: Path
) -> None:
    old = fitted("binary", "linear") / "model"
    found = run("binary", champion=champion_of(old))
    decision = json.loads((tmp_path / "evaluation" / "decision.json").read_text())
    compared = json.loads((tmp_path / "evaluation" / "champion.json").read_text())
    test, manifest = read_split(fitted("binary") / "test")
    model = load_model(old)
    expected = sk.roc_auc_score(test["outcome"].to_pylist(), model.predict(test)[:, 1])
    assert compared["scores"]["roc_auc"] == found.metrics["champion_roc_auc"] == pytest.approx(expected)
    difference = compared["differences"]["roc_auc"]
    assert difference["value"] == found.metrics["roc_auc"] - found.metrics["champion_roc_auc"]
    assert difference["low"] < difference["value"] < difference["high"]
    assert decision["test_digest"] == manifest.digest
    assert decision["champion"] == {"version": "3", "run_id": "r1", "digest": model.manifest.digest, "problem": ""}
    assert {tuple(rule) for rule in decision["rules"]} == {("rule", "value", "limit", "passed")}
    assert any("worse than the champion's" in rule["rule"] for rule in decision["rules"])
    page = (tmp_path / "report.html").read_text()
    assert "Champion, version 3" in page
    assert "Against the champion" in page


@pytest.mark.parametrize("task", TASKS)
def test_the_same_model_again_is_not_inferior_and_not_superior(
    task: str, run: Callable[..., Evaluated], fitted: Callable[..., Path], champion_of: Callable[..., Path]
) -> None:
    champion = champion_of(fitted(task) / "model")
    assert run(task, champion=champion).verdict == "promote"
    held = run(task, replace(QUICK, against_champion="superior"), champion=champion)
    assert held.verdict == "hold"
    assert "better than the champion's" in held.reason


def test_a_better_champion_holds_the_model(
    run: Callable[..., Evaluated], fitted: Callable[..., Path], champion_of: Callable[..., Path]
) -> None:
    found = run(
        "regression",
        model=fitted("regression", "linear") / "model",
        champion=champion_of(fitted("regression") / "model"),
    )
    assert found.metrics["rmse"] > found.metrics["champion_rmse"]
    assert found.verdict == "hold"


def test_a_champion_of_another_schema_holds_the_model_and_is_told_on_the_page(
    run: Callable[..., Evaluated], fitted: Callable[..., Path], champion_of: Callable[..., Path], tmp_path: Path
) -> None:
    champion = champion_of(fitted("regression") / "model")
    found = run("binary", champion=champion)
    assert found.verdict == "hold"
    assert (
        "version 3, cannot be compared with, so a person should decide. It predicts 'outcome' (regression)"
        in found.reason
    )
    assert json.loads((tmp_path / "evaluation" / "champion.json").read_text()) is None
    assert "It predicts &#39;outcome&#39; (regression)" in (tmp_path / "report.html").read_text()
    assert run("binary", replace(QUICK, incomparable_champion="promote"), champion=champion).verdict == "promote"


def test_a_chosen_threshold_is_told_with_its_scores(run: Callable[..., Evaluated], tmp_path: Path) -> None:
    found = run("binary", replace(QUICK, threshold={"false_positive": 1, "false_negative": 20}))
    assert 0 < found.metrics["threshold"] < 0.5
    assert found.metrics["threshold_recall"] > found.metrics["recall"]
    assert found.metrics["threshold_cost_per_row"] > 0
    assert "for the least cost, 1 per false alarm and 20 per miss" in (tmp_path / "report.html").read_text()


def test_slices_and_columns_are_written_worst_and_most_important_first(
    run: Callable[..., Evaluated], tmp_path: Path
) -> None:
    run("binary", replace(FULL, slice_rows=20))
    slices, importance = (
        json.loads((tmp_path / "evaluation" / f"{name}.json").read_text()) for name in ("slices", "importance")
    )
    values = [each["value"] for each in slices]
    assert len(values) == 7
    assert values == sorted(values)
    assert importance[0]["column"] == "length"


def test_budgets_are_measured_and_held_to(run: Callable[..., Evaluated], tmp_path: Path) -> None:
    found = run("binary", replace(QUICK, row_milliseconds=1e-6, model_megabytes=1000.0, calibration_limit=1.0))
    decision = json.loads((tmp_path / "evaluation" / "decision.json").read_text())
    assert [rule["passed"] for rule in decision["rules"]] == [True, True, False, True]
    assert found.manifest.facts["single_row_milliseconds"] > 0
    assert "Latency of one row, in milliseconds, at most" in found.reason


def test_names_from_the_data_cannot_write_html(
    run: Callable[..., Evaluated], fitted: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = '<script>alert("x")</script>'
    monkeypatch.setattr(TrainedModel, "classes", property(lambda _: ["no", evil]))
    monkeypatch.setattr(TrainedModel, "target", property(lambda _: "outcome"))
    run("binary")
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
