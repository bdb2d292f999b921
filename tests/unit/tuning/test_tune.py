"""The command: an experiment's file in, a folder of results out."""

import fcntl
import json
import signal
import subprocess
import sys
import time

import pyarrow.parquet
import pytest
import yaml

from ropewalk.errors import RunError
from ropewalk.tuning.tune import tune

COMMAND = [sys.executable, "-P", "-m", "ropewalk.tuning"]


def test_the_command_runs_an_experiment_and_prints_its_result(spec, tmp_path):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec(limits={"max_trials": 3})))
    arguments = ["--experiment", tmp_path / "spec.yaml", "--results", tmp_path / "out", "--seed", "4"]
    ended = subprocess.run([*COMMAND, *arguments], check=True, capture_output=True, text=True)
    result = json.loads(ended.stdout[ended.stdout.index("\n{") :])
    assert result == json.loads((tmp_path / "out" / "result.json").read_text())
    assert -1 <= result["best_parameters"]["x"] == result["best_value"] <= 1
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("report.html", "result.json", "trials", "trials.csv", "trials.jsonl", "trials.parquet"),
    }


def test_what_is_wrong_with_the_experiment_is_the_commands_error(spec, tmp_path):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec(name="Bad", limits={"max_trials": 0})))
    arguments = ["--experiment", tmp_path / "spec.yaml", "--results", tmp_path / "out"]
    ended = subprocess.run([*COMMAND, *arguments], check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "name: 'Bad'" in ended.stderr
    assert "limits.max_trials: 0" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_terminated_command_ends_its_trials_and_goes_on_later(spec, tmp_path):
    line = "touch ../../../begun; sleep 60; echo loss=1"
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec(line, limits={"max_trials": 1})))
    arguments = ["--experiment", tmp_path / "spec.yaml", "--results", tmp_path / "out"]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in errors
    events = [json.loads(line)["event"] for line in (tmp_path / "out" / "trials.jsonl").read_text().splitlines()]
    assert events == ["experiment", "started"]
    with (tmp_path / "out" / "trials" / "bowl-0000" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_table_of_an_experiment_that_failed_is_written(spec, tmp_path):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec("exit 4", limits={"max_trials": 2})))
    with pytest.raises(RunError, match="exit code 4"):
        tune(tmp_path / "spec.yaml", results=tmp_path / "out")
    assert (tmp_path / "out" / "trials.csv").read_text().count("exit code 4") == 2
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_local_command_replaces_the_image(katib, tmp_path):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(katib()))
    command = "sh -c 'echo loss=$0 accuracy=1' '${trialParameters.learningRate}'"
    result = tune(tmp_path / "spec.yaml", results=tmp_path / "out", command=command)
    assert result.best_value == pytest.approx(result.best_parameters["lr"])
    assert isinstance(result.best_parameters["size"], int)


@pytest.mark.parametrize(("most", "seen"), [(9, {1, 3, 9}), (1, {1})])
def test_hyperband_gives_its_resource_whatever_the_range_and_parallel_trials(spec, tmp_path, most, seen):
    """Katib's own example has the resource from 1 to 1, and Katib demands as many parallel trials as a rung has."""
    space = [
        {"name": "x", "type": "double", "min": 0, "max": 1},
        {"name": "epochs", "type": "int", "min": 1, "max": 1},
    ]
    algorithm = {"name": "hyperband", "settings": {"r_l": most, "resource_name": "epochs"}}
    values = spec(parameters=space, algorithm=algorithm, limits={"max_trials": 30})
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(values))
    result = tune(tmp_path / "spec.yaml", results=tmp_path / "out")
    rows = pyarrow.parquet.read_table(tmp_path / "out" / "trials.parquet").to_pylist()
    assert {row["parameters.epochs"] for row in rows} == seen
    assert result.end == "space_exhausted"
    assert (tmp_path / "out" / "report.html").exists()
