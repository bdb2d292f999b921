"""Tuning as a step of a pipeline, on this machine: data in, the best trial's model and all tables out."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from ropewalk.artifacts import MODEL, PREPROCESSOR, SPLIT, TRIALS, read_artifact
from ropewalk.errors import ArtifactError, RunError
from ropewalk.training.launch import Location
from ropewalk.tuning.launch import tune_by_profile

PLACES = ("train", "validation", "preprocessor", "model", "trials", "report.html")
RATES = {"learning_rate": [0.001, 0.05]}
STEP = """
import json, sys
from ropewalk.training.launch import Location
from ropewalk.tuning.launch import tune_by_profile
places, settings = json.loads(sys.argv[1])
tuned = tune_by_profile(*(Location(place, place) for place in places), **settings)
print("digest", tuned.model.digest)
"""
OWN = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: mine}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: grid}
  parallelTrialCount: 1
  maxTrialCount: 3
  parameters:
    - {name: n, parameterType: int, feasibleSpace: {min: "1", max: "3"}}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{name: n, reference: n}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - {name: main, image: "busybox:1", command: [sh, -c], args: ["LINE"]}
"""


def placed(splits, out):
    return [str((splits if name in PLACES[:3] else out) / name) for name in PLACES]


def settings(**changes):
    return {
        "search": RATES,
        "max_trials": 2,
        "epochs": 1,
        "seed": 0,
        "engine": "auto",
        "training": {"architecture": "linear", "device": "cpu"},
        "config": {"algorithm": "grid", "parallel": 2},
        "cluster": {},
        **changes,
    }


def tune(splits, out, **changes):
    return tune_by_profile(*(Location(place, place) for place in placed(splits, out)), **settings(**changes))


def own(line):
    return {"search": {}, "config": {"experiment": yaml.safe_load(OWN.replace("LINE", line))}}


def events(out):
    return [json.loads(line) for line in (out / "trials.work" / "trials.jsonl").read_text().splitlines()]


def numbers(out, event):
    return [each["number"] for each in events(out) if each["event"] == event]


def test_the_best_trials_model_is_the_output_with_table_page_and_lineage(fitted, tmp_path, capsys):
    splits = fitted("binary")
    tuned = tune(splits, tmp_path)
    said = capsys.readouterr().out
    assert "engine local: this is no pod with a service account" in said
    assert "2 of 2 trials done, 0 running, best validation_roc_auc" in said
    model = read_artifact(tmp_path / "model", MODEL)
    assert model == tuned.model
    with (tmp_path / "trials" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = [float(row["metrics.validation_roc_auc"]) for row in rows]
    (best,) = [row for row in rows if row["best"] == "true"]
    assert float(best["metrics.validation_roc_auc"]) == max(values) == tuned.result.best_value
    assert model.facts["validation_roc_auc"] == max(values)
    trained_with = json.loads((tmp_path / "model" / "model.json").read_text())["training"]
    assert tuned.result.best_parameters == {"learning_rate": trained_with["learning_rate"]}
    assert {float(row["parameters.learning_rate"]) for row in rows} == set(RATES["learning_rate"])
    manifest = read_artifact(tmp_path / "trials", TRIALS)
    digests = {source["digest"] for source in manifest.made_from}
    kinds = {"train": SPLIT, "validation": SPLIT, "preprocessor": PREPROCESSOR}
    assert digests == {read_artifact(splits / name, kind).digest for name, kind in kinds.items()}
    assert manifest.facts["model_digest"] == model.digest
    assert tuned.metrics["trials_succeeded"] == 2
    assert "Best parameters" in (tmp_path / "report.html").read_text()
    # The splits are read where they are, and of the models only the best one is kept.
    assert [path.name for path in (tmp_path / "trials.work" / "models").iterdir()] == [tuned.result.best_trial]
    assert list((tmp_path / "trials.work").rglob("*.parquet")) == [tmp_path / "trials.work" / "trials.parquet"]


def test_a_killed_step_goes_on_without_repeating_a_trial_and_gives_the_same(fitted, tmp_path):
    splits = fitted("binary")
    line = f"sleep 0.5; cp -r {splits / 'model'} $ROPEWALK_MODELS/$KATIB_TRIAL_NAME && echo loss=${{trialParameters.n}}"
    asked = settings(**own(line))
    asked["config"]["keep_models"] = True
    whole = tune(splits, tmp_path / "whole", **asked)
    out = tmp_path / "killed"
    command = [sys.executable, "-c", STEP, json.dumps([placed(splits, out), asked])]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / "trials.work" / "trials.jsonl").exists() or len(events(out)) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (out / "model").exists()
    again = tune(splits, out, **asked)
    started, ended = (
        [each["number"] for each in events(out) if each["event"] == name] for name in ("started", "ended")
    )
    assert ended == [0, 1, 2]
    assert (started.count(0), started.count(2)) == (1, 1)
    assert again.result.best_parameters == whole.result.best_parameters
    assert again.model.digest == whole.model.digest
    assert table(out) == table(tmp_path / "whole")
    assert len(list((out / "trials.work" / "models").iterdir())) == 3
    # And once more when all is done: nothing is run.
    assert tune(splits, out, **asked).result == again.result
    assert numbers(out, "started") == started


def table(out):
    """Return number, state, parameter and metric of each trial."""
    with (out / "trials" / "trials.csv").open() as file:
        return [(row["number"], row["state"], row["parameters.n"], row["metrics.loss"]) for row in csv.DictReader(file)]


def test_an_experiment_of_ones_own_gets_the_data_and_gives_its_best_model(fitted, tmp_path):
    splits = fitted("binary")
    line = "test -d ${ROPEWALK_TRAIN%#*} && cp -r " + str(splits / "model")
    line += " $ROPEWALK_MODELS/$KATIB_TRIAL_NAME && echo loss=${trialParameters.n}"
    tuned = tune(splits, tmp_path, **own(line))
    assert tuned.result.best_parameters == {"n": 1}
    assert tuned.model.digest == read_artifact(splits / "model", MODEL).digest


def test_a_best_trial_without_a_model_is_an_error_that_says_where_it_belongs(fitted, tmp_path):
    with pytest.raises(ArtifactError, match=r"-0000 is best, but left no whole model at .*ROPEWALK_MODELS"):
        tune(fitted("binary"), tmp_path, **own("echo loss=${trialParameters.n}"))
    assert not (tmp_path / "model").exists()


def test_trials_that_all_fail_fail_the_step_with_their_last_words_and_the_table(fitted, tmp_path):
    with pytest.raises(RunError, match="no trial succeeded") as failed:
        tune(fitted("binary"), tmp_path, **own("echo out of luck with ${trialParameters.n}; exit 3"))
    assert "out of luck with 1" in str(failed.value)
    assert "failed" in (tmp_path / "trials.work" / "trials.csv").read_text()
    assert not (tmp_path / "trials").exists()


def test_an_input_that_was_altered_is_refused_before_any_trial(fitted, tmp_path):
    splits = Path(shutil.copytree(fitted("binary"), tmp_path / "splits"))
    part = next((splits / "train").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="has changed since it was written"):
        tune(splits, tmp_path / "out")
    assert not (tmp_path / "out").exists()
