"""The training step as a command: what a trial of a search gets, prints and refuses."""

import json
import subprocess
import sys

import pytest

from ropewalk.artifacts import MODEL, SPLIT, read_artifact
from ropewalk.errors import ArtifactError, ConfigError
from ropewalk.metric_lines import TRIAL
from ropewalk.training.command import train_command
from ropewalk.training.config import TrainingConfig
from ropewalk.tuning.filters import LineReader
from ropewalk.tuning.spec import MetricsSource

LINEAR = TrainingConfig(architecture="linear", device="cpu")


def reports(text, name):
    reader = LineReader(MetricsSource(), (name,))
    return [value for line in text.splitlines() for _, value, _ in reader.read(line)]


@pytest.mark.parametrize("architecture", ["linear", "gbdt"])
def test_a_trial_reports_each_epoch_and_at_last_the_model_that_is_kept(
    fitted, tmp_path, capsys, monkeypatch, architecture
):
    splits = fitted("binary")
    inputs = {name: str(splits / name) for name in ("train", "validation", "preprocessor")}
    config = TrainingConfig(architecture=architecture, device="cpu", learning_rate=0.05, boosting_rate=0.9)
    train_command(**inputs, model=str(tmp_path / "quiet"), epochs=4, config=config)
    assert reports(capsys.readouterr().out, "validation_roc_auc") == []
    monkeypatch.setenv(TRIAL, "t-0001")
    train_command(**inputs, model=str(tmp_path / "model"), epochs=4, config=config)
    found = reports(capsys.readouterr().out, "validation_roc_auc")
    kept = read_artifact(tmp_path / "model", MODEL)
    history = json.loads((tmp_path / "model" / "history.json").read_text())
    assert found == [*(entry["validation_roc_auc"] for entry in history), kept.facts["validation_roc_auc"]]
    assert found[-1] == max(found)


def test_other_bytes_than_those_that_were_meant_are_refused_before_training(fitted, tmp_path):
    splits = fitted("binary")
    right, other = (read_artifact(splits / name, SPLIT).digest for name in ("train", "validation"))
    inputs = {name: str(splits / name) for name in ("validation", "preprocessor")}
    with pytest.raises(ArtifactError, match=f"its digest is {right}, expected {other}"):
        train_command(f"{splits / 'train'}#{other}", **inputs, model=str(tmp_path / "model"), config=LINEAR)
    assert not (tmp_path / "model").exists()
    train_command(f"{splits / 'train'}#{right}", **inputs, model=str(tmp_path / "model"), epochs=1, config=LINEAR)
    assert read_artifact(tmp_path / "model", MODEL).facts["architecture"] == "linear"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"dropout": 0.1}', "settings has dropout, and so have flags"),
        ('{"drop_out": 0.1}', "Did you mean 'dropout'"),
        ("dropout", "is not JSON"),
        ("[1]", "need a JSON object"),
    ],
)
def test_settings_that_are_wrong_or_given_twice_are_refused(tmp_path, settings, message):
    nowhere = dict.fromkeys(("train", "validation", "preprocessor", "model"), str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match=message):
        train_command(**nowhere, settings=settings, config=TrainingConfig(dropout=0.4))


def test_the_command_has_the_trials_flags(fitted, tmp_path):
    splits = fitted("binary")
    flags = ["--settings", '{"architecture": "linear"}', "--learning-rate", "0.01", "--epochs", "1", "--device", "cpu"]
    places = [f"--{name}={splits / name}" for name in ("train", "validation", "preprocessor")]
    command = [sys.executable, "-m", "ropewalk.training", *places, f"--model={tmp_path / 'model'}", *flags]
    subprocess.run(command, check=True, capture_output=True)
    settings = json.loads((tmp_path / "model" / "model.json").read_text())["training"]
    assert (settings["architecture"], settings["learning_rate"]) == ("linear", 0.01)
