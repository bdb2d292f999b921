"""The pipeline `tuning`, compiled, runs on this machine from data to the registered best of many models."""

import json
from pathlib import Path

from ropewalk.artifacts import TRIALS, read_artifact
from ropewalk.tracking import connect

STEPS = [
    "check-config",
    "resolve-data",
    "pull-data",
    "validate-data",
    "preprocess-table",
    "tune-model",
    "evaluate-model",
    "register-model",
    "report-run",
]
SEARCH = {"learning_rate": {"min": 0.001, "max": 0.1, "distribution": "logUniform"}}
CONFIG = {"training": {"architecture": "linear"}, "tuning": {"algorithm": "random", "parallel": 2}}


def test_a_sample_becomes_a_registered_model_with_its_trials_below_the_run(ropewalk):
    arguments = ["--search", json.dumps(SEARCH), "--max-trials", "2", "--epochs", "1", "--config", json.dumps(CONFIG)]
    ended = ropewalk.call("run", "tuning", *arguments)
    assert ended.returncode == 0, ended.stdout
    record = ropewalk.record()
    assert [(step["task"], step["state"]) for step in record["steps"]] == [(task, "succeeded") for task in STEPS]
    # Progress is shown while it goes on.
    assert "tune-model: | 2 of 2 trials done, 0 running, best validation_roc_auc" in ended.stdout
    best = record["results"]["best"]
    rate = best["best_parameters"]["learning_rate"]
    assert f"learning_rate={rate:.4g}" in ended.stdout.partition("verdict")[2]
    (folder,) = ropewalk.folders()
    summary = (folder / "report-run-summary.html").read_text(encoding="utf-8")
    assert "Best parameters" in summary
    assert repr(rate) in summary
    facts = read_artifact(folder / "artifacts" / "tune-model" / "trials", TRIALS).facts
    assert (facts["best_trial"], facts["best_parameters"]) == (best["best_trial"], {"learning_rate": rate})
    client = connect(f"sqlite:///{ropewalk.home / 'mlflow.db'}")
    run = client.get_run(record["results"]["model"]["mlflow_run_id"])
    assert run.data.params["training.learning_rate"] == str(rate)
    below = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {each.data.tags["ropewalk.pipeline_run_id"] for each in below} == {record["id"]}
    assert best["best_trial"] in [each.data.tags["ropewalk.trial"] for each in below]
    report = Path(ropewalk.call("open", "--print").stdout.strip())
    assert report.name == "evaluate-model-report.html"


def test_a_typo_in_the_search_is_refused_before_anything_starts(ropewalk):
    ended = ropewalk.call("run", "tuning", "--search", json.dumps({"drop_out": {"min": 0, "max": 0.5}}))
    assert ended.returncode == 2
    assert "search.drop_out" in ended.stderr
    assert "Did you mean 'dropout'?" in ended.stderr
    assert ropewalk.folders() == []
