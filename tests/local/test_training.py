"""The pipeline `training`, compiled, runs on this machine from data to registered model."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ropewalk.artifacts import MODEL, SPLIT, read_artifact
from ropewalk.data.pull import pull
from ropewalk.data.push import push

STEPS = [
    "check-config",
    "resolve-data",
    "pull-data",
    "validate-data",
    "preprocess-table",
    "train-model",
    "fetch-champion",
    "evaluate-model",
    "register-model",
    "report-run",
]
PUSH = "version-results"
QUICK = ["--epochs", "2"]


@pytest.mark.parametrize(("sample", "metric"), [("breast_cancer", "roc_auc"), ("wine", "accuracy"), ("diabetes", "r2")])
def test_each_sample_becomes_a_registered_model_with_a_report(ropewalk, sample, metric):
    ended = ropewalk.call("run", "training", "--data", f"sample:{sample}", "--model-name", sample, *QUICK)
    assert ended.returncode == 0, ended.stdout
    record = ropewalk.record()
    ran = [step for step in record["steps"] if step["task"] != PUSH]
    assert [(step["task"], step["state"]) for step in ran] == [(task, "succeeded") for task in STEPS]
    assert {step["state"] for step in record["steps"] if step["task"] == PUSH} == {"skipped"}
    assert PUSH not in ended.stdout
    assert metric in record["results"]["metrics"]
    assert record["results"]["model"]["model_name"] == sample
    assert record["results"]["model"]["version"] == "1"
    assert (ropewalk.home / "mlflow.db").is_file()
    report = Path(ropewalk.call("open", "--print").stdout.strip())
    assert report.name == "evaluate-model-report.html"
    assert "<html" in report.read_text(encoding="utf-8")
    for shown in (f"{sample} version 1", metric, "mlflow ui --backend-store-uri", "verdict"):
        assert shown in ended.stdout


def test_splits_and_model_are_pushed_into_a_repository_once_and_come_back_whole(ropewalk, hub, tmp_path):
    arguments = ("run", "training", "--push-to", str(hub), "--model-name", "Wing 7", "--data", "sample:wine", *QUICK)
    ended = ropewalk.call(*arguments)
    assert ended.returncode == 0, ended.stdout
    parts = ["model", "test", "train", "validation"]
    states = {step["task"]: step["state"] for step in ropewalk.record()["steps"]}
    assert states[PUSH] == "succeeded"
    tags = subprocess.run(["git", "-C", hub, "tag"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert tags == [f"wing-7/{part}@v1.0.0" for part in parts]
    artifacts = ropewalk.folders()[0] / "artifacts"
    made = {"model": artifacts / "train-model" / "model"}
    made |= {part: artifacts / "preprocess-table" / part for part in parts[1:]}
    for part in parts:
        pull(str(hub), path=f"ropewalk/wing-7/{part}", revision=f"wing-7/{part}@v1.0.0", output=tmp_path / part)
        kind = MODEL if part == "model" else SPLIT
        assert read_artifact(tmp_path / part / "data", kind).digest == read_artifact(made[part], kind).digest


def test_a_repository_with_a_password_in_its_url_is_refused_before_anything_starts(ropewalk):
    ended = ropewalk.call("run", "training", "--push-to", "https://me:secret@example.invalid/data.git")
    assert ended.returncode == 1
    assert "holds a user name, password or token" in ended.stderr
    assert "secret" not in ended.stderr + ended.stdout
    assert ropewalk.folders() == []


def test_a_typo_in_the_config_is_refused_at_once(ropewalk):
    started = time.monotonic()
    ended = ropewalk.call("run", "training", "--config", json.dumps({"training": {"drop_out": 0.1}}))
    assert ended.returncode == 2
    assert "training.drop_out" in ended.stderr
    assert "Did you mean 'dropout'?" in ended.stderr
    assert time.monotonic() - started < 5
    assert ropewalk.folders() == []


def test_data_that_is_not_there_fails_the_first_step_that_needs_it(ropewalk):
    ended = ropewalk.call("run", "training", "--data", "absent.csv", "--target", "y")
    record = ropewalk.record()
    assert ended.returncode == 1
    assert "absent.csv" in record["error"]
    assert {step["task"]: step["state"] for step in record["steps"]}["resolve-data"] == "failed"
    page = ropewalk.folders()[0] / "report-run-summary.html"
    assert "resolve-data" in page.read_text(encoding="utf-8")


def test_a_version_is_compared_with_an_earlier_one_when_the_config_names_it(ropewalk, hub, tmp_path):
    for version, first in enumerate((0, 500)):
        lines = [f"{first + row * 37 % 101},{row * 7 % 13},{'no' if row % 3 else 'yes'}\n" for row in range(300)]
        (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(lines))
        push(tmp_path / "t.csv", repository=str(hub), path="t.csv", name="t", version=f"1.{version}.0")
    arguments = ["run", "training", "--data", str(hub), "--data-path", "t.csv", "--target", "y", *QUICK]
    config = {"data": {"reference_revision": "t@v1.0.0"}, "preprocess": {"ignore": ["b"]}}
    ended = ropewalk.call(*arguments, "--config", json.dumps(config))
    assert ended.returncode == 1
    assert "the column 'a'" in ropewalk.record()["error"]
    config["validation"] = {"drift_ignore": ["a"]}
    ended = ropewalk.call(*arguments, "--config", json.dumps(config))
    assert ended.returncode == 0, ended.stdout


def test_training_stopped_by_ctrl_c_leaves_no_half_model_and_the_next_run_passes(ropewalk, wait_for):
    process = ropewalk.start("run", "training", "--epochs", "100000", "--config", '{"training": {"patience": 100000}}')
    wait_for(lambda: any("epoch 1/" in log.read_text() for log in ropewalk.home.glob("runs/*/logs/train-model.log")))
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert list(ropewalk.home.glob("runs/*/artifacts/train-model/model")) == []
    assert ropewalk.call("run", "training", *QUICK).returncode == 0


def test_a_refused_table_fails_before_training_and_its_validation_page_can_be_opened(ropewalk):
    (ropewalk.folder / "one class.csv").write_text("x,y\n" + "".join(f"{number},no\n" for number in range(100)))
    ended = ropewalk.call("run", "training", "--data", "one class.csv", "--target", "y")
    assert ended.returncode == 1
    assert "the target 'y' is 'no' in every row" in ropewalk.record()["error"]
    states = {step["task"]: step["state"] for step in ropewalk.record()["steps"]}
    assert (states["validate-data"], states["train-model"]) == ("failed", "skipped")
    page = ropewalk.folders()[0] / "validate-data-report.html"
    # Chromium shows the source of a page whose real name does not end in .html, so a link is not enough.
    assert page.is_file()
    assert not page.is_symlink()
    assert str(page) in ended.stdout
