"""The pipeline `tuning`, compiled, runs on this machine from data to the registered best of many models."""

import fcntl
import json
import os
import signal
import time
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
    "fetch-champion",
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


def test_ctrl_c_ends_the_trials_and_nothing_of_them_runs_on(ropewalk):
    search = json.dumps({"learning_rate": [0.001, 0.002]})
    config = {"training": {"architecture": "linear", "patience": 100000}, "tuning": {"algorithm": "grid"}}
    arguments = ["--search", search, "--max-trials", "2", "--epochs", "100000", "--config", json.dumps(config)]
    process = ropewalk.start("run", "tuning", *arguments)
    logs = "runs/*/artifacts/tune-model/trials.work/trials/*/trial.log"
    deadline = time.monotonic() + 120
    while not any("epoch 1/" in log.read_text() for log in ropewalk.home.glob(logs)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    locks = list(ropewalk.home.glob("runs/*/artifacts/tune-model/trials.work/trials/*/lock"))
    assert locks
    for file in locks:
        with file.open() as lock:
            # Held by every process of the trial.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list(ropewalk.home.glob("runs/*/artifacts/tune-model/model")) == []
