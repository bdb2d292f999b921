"""The tuning step on a cluster with Katib: from the artifacts in the pipeline's storage to the best trial's model."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from katib_api import KatibApi
from katib_controller import KatibController
from kfp import dsl
from serving import served

from ropewalk import images
from ropewalk.artifacts import MODEL, PREPROCESSOR, SPLIT, TRIALS, read_artifact
from ropewalk.cluster.trainjob import TrainJobConfig
from ropewalk.components import tune_model
from ropewalk.errors import ArtifactError, ClusterError, ConfigError
from ropewalk.remote_artifacts import fetch_artifact, store_artifact
from ropewalk.training.launch import Location
from ropewalk.tuning import engines
from ropewalk.tuning.launch import tune_by_profile
from ropewalk.tuning.profile import TuneProfile
from ropewalk.tuning.training_trials import read_request
from ropewalk.tuning.tune import tune
from ropewalk.tuning.work import Inputs, work_on_cluster

KINDS = {"train": SPLIT, "validation": SPLIT, "preprocessor": PREPROCESSOR}
QUICK = {"poll_seconds": 0.05, "longest_poll_seconds": 0.5}
SETTINGS = {
    "search": {"learning_rate": [0.001, 0.05]},
    "max_trials": 2,
    "epochs": 1,
    "training": {"architecture": "linear", "device": "cpu"},
    "config": {"algorithm": "grid", "parallel": 2},
}


@pytest.fixture
def katib(tmp_path, monkeypatch):
    """A cluster with Katib, whose pods are processes of this machine with our Python as the image's."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    with served(KatibApi(), tmp_path, monkeypatch) as api:
        controller = KatibController(api, tmp_path / "pods")
        yield api
        controller.stop()


def own_katib(line):
    """Return Katib's own form of a trial whose script is one line."""
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "x:1", "command": ["sh", "-c"], "args": [line]}],
                }
            }
        },
    }
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "mine"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "grid"},
            "parallelTrialCount": 2,
            "maxTrialCount": 2,
            "parameters": [{"name": "n", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "2"}}],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "n", "reference": "n"}],
                "trialSpec": job,
            },
        },
    }


def run(splits, out, root, **changes):
    """Run the step on artifacts that are in its pod under `splits`, and for trials under the URI `root`."""
    names = ("train", "validation", "preprocessor", "model", "trials", "report")
    places = [Location(str((splits if name in KINDS else out) / name), f"{root}/{name}") for name in names]
    settings = {**SETTINGS, "seed": 0, "engine": "katib", "cluster": {"katib": QUICK}, **changes}
    return tune_by_profile(*places, **settings)


def test_trials_fetch_the_splits_from_the_object_store_and_the_best_model_comes_back(katib, fitted, storage, tmp_path):
    splits, root = fitted("binary"), "minio://mlpipeline/v2/artifacts/run-1/tune-model"
    for name, kind in KINDS.items():
        store_artifact(splits / name, f"{root}/{name}", kind)
    outputs = {"model": dsl.Model, "trials": dsl.Dataset, "report": dsl.HTML, "metrics": dsl.Metrics}
    artifacts = {name: kind(uri=f"{root}/{name}") for name, kind in outputs.items()}
    artifacts |= {name: dsl.Dataset(uri=f"{root}/{name}") for name in KINDS}
    for name, artifact in artifacts.items():
        artifact.custom_path = str((splits if name in KINDS else tmp_path) / name)
    pods = {
        "env": {"AWS_ENDPOINT_URL": storage["AWS_ENDPOINT_URL"]},
        "secret_env": {"AWS_ACCESS_KEY_ID": "store/access"},
        "memory": "2Gi",
    }
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    step = dsl.TaskConfig(resources={"limits": {"nvidia.com/gpu": "1"}}, tolerations=[toleration])
    shipped = {}
    exec(tune_model.component_spec.implementation.container.command[-1], shipped)
    best, value, trial = shipped["tune_model"](
        **artifacts, **SETTINGS, engine="katib", cluster={"pods": pods, "katib": QUICK}, task_config=step
    )
    model = read_artifact(tmp_path / "model", MODEL)
    assert model.facts["validation_roc_auc"] == value
    assert artifacts["model"].metadata["digest"] == model.digest
    trained_with = json.loads((tmp_path / "model" / "model.json").read_text())["training"]
    assert best == {"learning_rate": trained_with["learning_rate"]}
    manifest = read_artifact(tmp_path / "trials", TRIALS)
    assert (manifest.facts["engine"], manifest.facts["best_trial"], manifest.facts["rows"]) == ("katib", trial, 2)
    # Of the models in the store only the best one is left, and the experiment is gone.
    entries = json.loads((tmp_path / "trials" / "trials.json").read_text())
    (other,) = [entry["name"] for entry in entries if entry["name"] != trial]
    assert fetch_artifact(f"{root}/trials.models/{trial}", MODEL, digest=model.digest)
    with pytest.raises(ArtifactError, match="holds no finished artifact"):
        fetch_artifact(f"{root}/trials.models/{other}", MODEL)
    assert katib.all_of("experiments") == []
    # What trials were told: inputs with their digests; their pods have what profile and step gave.
    job = katib.sent[0]["spec"]["trialTemplate"]["trialSpec"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    words = shlex.split(container["args"][0])
    assert words[words.index("--train") + 1] == f"{root}/train#{read_artifact(splits / 'train', SPLIT).digest}"
    assert container["image"] == images.TRAIN
    assert container["resources"]["limits"] == {"memory": "2Gi", "nvidia.com/gpu": "1"}
    assert pod["tolerations"] == [toleration]
    assert job["spec"]["backoffLimit"] == 0


def test_trials_read_the_splits_from_a_claim_that_step_and_trials_mount(katib, fitted, tmp_path):
    splits, shared = fitted("binary"), tmp_path / "claim"
    cluster = {"shared_folder": str(shared), "katib": QUICK}
    with pytest.raises(ConfigError, match="this step has no such folder"):
        run(splits, tmp_path, "s3://nowhere", cluster=cluster)
    shared.mkdir()
    # The copy is there, and no file of it may be written to.
    line = "test -f ${ROPEWALK_TRAIN%#*}/manifest.json && find ${ROPEWALK_TRAIN%#*} -type f -perm /222 -exec false {} +"
    line += f" && cp -r {splits / 'model'} $ROPEWALK_MODELS/$KATIB_TRIAL_NAME && echo loss=${{trialParameters.n}}"
    config = {"experiment": own_katib(line)}
    tuned = run(splits, tmp_path, "s3://nowhere", cluster=cluster, search={}, config=config)
    assert tuned.result.best_parameters == {"n": 1}
    assert read_artifact(tmp_path / "model", MODEL).digest == read_artifact(splits / "model", MODEL).digest
    (root,) = shared.iterdir()
    assert [path.name for path in (root / "models").iterdir()] == [tuned.result.best_trial]
    assert [path.name for path in root.iterdir()] == ["models"]
    for command in katib.sent[0]["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]:
        env = {entry["name"]: entry["value"] for entry in command["env"]}
        digest = read_artifact(splits / "train", SPLIT).digest
        assert env["ROPEWALK_TRAIN"] == f"{root / 'train'}#{digest}"


def test_data_on_the_steps_own_disk_are_refused_before_anything_is_asked_of_the_cluster(katib, fitted, tmp_path):
    with pytest.raises(ConfigError, match="which pods of the cluster do not see"):
        run(fitted("binary"), tmp_path, str(tmp_path))
    assert katib.asked == []


@pytest.mark.parametrize("kind", ["Job", "TrainJob", "PyTorchJob"])
def test_trials_are_of_the_kind_that_the_profile_says_with_what_the_step_was_given(fitted, tmp_path, kind):
    splits = fitted("binary")
    locations = {name: Location(str(splits / name), f"s3://b/{name}") for name in KINDS}
    inputs = Inputs(
        locations=locations,
        digests={name: read_artifact(splits / name, each).digest for name, each in KINDS.items()},
        task="binary",
        output=Location(str(tmp_path / "trials"), "s3://b/trials"),
        identity="s3://b/model",
    )
    settings = {name: value for name, value in SETTINGS.items() if name != "config"}
    request = read_request(**settings, seed=0, config=SETTINGS["config"])
    profile = TuneProfile(trial=kind, pods=TrainJobConfig(nodes=1 if kind == "Job" else 2, cpu="2"))
    step = {"resources": {"limits": {"nvidia.com/gpu": "1"}}, "node_selector": {"gpu": "h100"}}
    template = work_on_cluster(request, inputs, profile, step).experiment.trial
    assert template.manifest["kind"] == kind
    text = json.dumps(template.manifest)
    assert '"nvidia.com/gpu": "1"' in text
    assert '"nodeSelector": {"gpu": "h100"}' in text
    assert '"cpu": "2"' in text
    assert ("torchrun -m ropewalk.training" in text) == (kind != "Job")
    assert "--model 's3://b/trials.models/${trialParameters.trial_name}'" in text


def test_a_second_attempt_adopts_the_experiment_and_takes_its_model(katib, fitted, tmp_path):
    splits = fitted("binary")
    line = f"cp -r {splits / 'model'} $ROPEWALK_MODELS/$KATIB_TRIAL_NAME && echo loss=${{trialParameters.n}}"
    (tmp_path / "claim").mkdir()
    cluster = {"shared_folder": str(tmp_path / "claim"), "katib": QUICK}
    asked = {"cluster": cluster, "search": {}, "config": {"experiment": own_katib(line)}}
    # The report cannot be written: the first attempt fails after the trials, before the experiment is cleaned up.
    (tmp_path / "report").mkdir()
    with pytest.raises(IsADirectoryError):
        run(splits, tmp_path, "s3://nowhere", **asked)
    (tmp_path / "report").rmdir()
    ran = len(katib.all_of("trials"))
    tuned = run(splits, tmp_path, "s3://nowhere", **asked)
    assert ran == 2
    assert len(katib.sent) == 2, "asked for twice, of which one was adopted"
    assert tuned.result.trials == {"succeeded": 2}


def test_the_engine_is_chosen_by_what_the_pod_is_in_and_a_refusal_does_not_change_it(
    katib, fitted, tmp_path, monkeypatch
):
    assert engines.choose_engine("auto") == engines.Choice("local", "this is no pod with a service account")
    (tmp_path / "token").write_text("t")
    monkeypatch.setattr(engines, "_TOKEN", tmp_path / "token")
    assert engines.choose_engine("auto") == engines.Choice("katib", "this pod's cluster has Katib")
    assert engines.choose_engine("local").engine == "local"
    katib.denied = {("experiments", "create")}
    with pytest.raises(ClusterError, match="verb create on experiments"):
        run(fitted("binary"), tmp_path, "s3://nowhere", engine="auto")
    assert not (tmp_path / "trials.work" / "trials.jsonl").exists()
    katib.katib_installed = False
    choice = engines.choose_engine("auto")
    assert (choice.engine, "has no Katib" in choice.why) == ("local", True)


def test_a_file_with_an_experiment_is_run_by_the_engine_that_is_asked_for(katib, tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own_katib("echo loss=${trialParameters.n}")))
    here = tune(tmp_path / "mine.yaml", results=tmp_path / "here", engine="auto")
    there = tune(tmp_path / "mine.yaml", results=tmp_path / "there", engine="katib")
    assert (here.best_value, here.best_parameters) == (there.best_value, there.best_parameters) == (1.0, {"n": 1})
    assert "engine local: this is no pod" in capsys.readouterr().out
    assert len(katib.sent) == 1
    assert (tmp_path / "there" / "report.html").is_file()
