"""The training step, launched to a cluster: from the artifacts in the pipeline's storage to the model in its pod."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
import pytest
import s3fs
from kfp import dsl
from kube_api import GROUP
from train_controller import TrainController

from ropewalk.artifacts import MODEL, SPLIT, read_artifact
from ropewalk.cluster.access import granted_permissions, rbac_manifest
from ropewalk.components import launch_training
from ropewalk.errors import ArtifactError, ClusterError, ConfigError
from ropewalk.remote_artifacts import store_artifact
from ropewalk.training.launch import Location, train_by_profile

S3_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
WAIT = """
import json, sys
from pathlib import Path
from ropewalk.training.launch import Location, train_by_profile
arguments = json.loads(sys.argv[1])
places = {name: Location(**place) for name, place in arguments.pop("places").items()}
manifest = train_by_profile(places.pop("train"), **places, curves=Path(sys.argv[2]), **arguments)
print("digest", manifest.digest)
"""
SMALL = {"width": 16, "depth": 1, "device": "cpu"}


@pytest.fixture
def splits(fitted):
    """A folder with train, validation, preprocessor and a model."""
    return fitted("binary")


def places(splits, model, *, root=None):
    """Return where the step's artifacts are: in its pod under `splits`, and for others under the URI `root`."""
    found = {
        name: Location(str(splits / name), f"{root or splits}/{name}")
        for name in ("train", "validation", "preprocessor")
    }
    return found | {"model": Location(str(model), f"{root}/model" if root else f"{model}-stored")}


def launch(placed, *, cluster, config=None, step=None):
    return train_by_profile(
        placed["train"],
        **{name: place for name, place in placed.items() if name != "train"},
        curves=Path(placed["model"].path).with_name("curves.html"),
        epochs=1,
        seed=0,
        config=config or SMALL,
        cluster=cluster,
        step=step,
    )


@pytest.fixture
def storage(monkeypatch, tmp_path):
    """A bucket on an S3 server of its own process; its environment is that of the pods, too."""
    process = subprocess.Popen(
        [sys.executable, "-c", S3_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{int(process.stdout.readline())}"
    environment = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(address, timeout=10).close()
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="mlpipeline")
    # Connections of earlier tests, to other servers, are kept by their arguments, not by the environment.
    s3fs.S3FileSystem.clear_instance_cache()
    yield environment
    s3fs.S3FileSystem.clear_instance_cache()
    process.stdin.close()
    process.wait()
    process.stdout.close()


def test_two_nodes_train_under_torchrun_from_an_object_store_and_the_model_comes_back(
    api, splits, storage, tmp_path, capfd
):
    root = "minio://mlpipeline/v2/artifacts/run-1"
    for name, kind in (("train", SPLIT), ("validation", SPLIT), ("preprocessor", "preprocessor")):
        store_artifact(splits / name, f"{root}/{name}", kind)
    (tmp_path / "pods").mkdir()
    TrainController(api, {"TMPDIR": str(tmp_path / "pods"), "OMP_NUM_THREADS": "1"})
    place = places(splits, tmp_path / "model", root=root)
    manifest = launch(place, cluster={"nodes": 2, "env": {"AWS_ENDPOINT_URL": storage["AWS_ENDPOINT_URL"]}})
    assert read_artifact(tmp_path / "model", MODEL) == manifest
    assert manifest.facts["epochs"] == 1
    assert "Learning" in (tmp_path / "curves.html").read_text(encoding="utf-8")
    (job,) = api.bodies
    assert (job["spec"]["trainer"]["numNodes"], job["spec"]["trainer"]["numProcPerNode"]) == (2, 1)
    said = capfd.readouterr().out
    assert re.search(r"\[rank 0\] binary on .* on 2 x cpu", said)
    assert "succeeded" in said
    from ropewalk.preprocess.splits import read_split
    from ropewalk.training.model import load_model

    table, _ = read_split(splits / "test")
    assert load_model(tmp_path / "model").predict(table).shape == (table.num_rows, 2)


def test_a_failure_in_a_pod_fails_the_step_with_what_the_pod_said(api, splits, tmp_path):
    TrainController(api, {"OMP_NUM_THREADS": "1"})
    with pytest.raises(ClusterError, match=r"First to fail: rank 0 .*exit code 1") as failed:
        launch(places(splits, tmp_path / "model"), cluster={"nodes": 1}, config=SMALL | {"device": "cuda"})
    assert "  error: device='cuda' was asked for, but torch sees no GPU here" in str(failed.value)
    assert "ChildFailedError" not in str(failed.value)
    assert not (tmp_path / "model").exists()


def finish(api, splits, place):
    """Do at once what the job would do: store the model and report success."""

    def on_create(job):
        shutil.copytree(splits / "model", place["model"].uri)
        api.conclude(job["metadata"]["name"], "Complete")

    return on_create


def test_the_job_knows_its_inputs_by_their_digests_and_is_named_for_its_output(api, splits, tmp_path):
    place = places(splits, tmp_path / "model")
    api.on_create = finish(api, splits, place)
    assert launch(place, cluster={"nodes": 1}).digest == read_artifact(splits / "model", MODEL).digest
    (job,) = api.bodies
    assert job["metadata"]["annotations"]["ropewalk.dev/identity"] == place["model"].uri
    command = job["spec"]["trainer"]["command"]
    digest = read_artifact(splits / "train", SPLIT).digest
    assert command[command.index("--train") + 1] == f"{place['train'].uri}#{digest}"
    assert json.loads(command[command.index("--settings") + 1]) == SMALL


def test_a_job_that_succeeds_without_a_model_fails_the_step_and_is_kept(api, splits, tmp_path):
    api.on_create = lambda job: api.conclude(job["metadata"]["name"], "Complete")
    with pytest.raises(ArtifactError, match="holds no finished artifact"):
        launch(places(splits, tmp_path / "model"), cluster={"nodes": 1})
    assert api.jobs


def test_wrong_settings_are_refused_before_anything_is_asked_of_the_cluster(api, splits, tmp_path):
    place = places(splits, tmp_path / "model")
    for options in ({"cluster": {"node": 1}}, {"cluster": {"nodes": 1}, "config": {"widht": 3}}):
        with pytest.raises(ConfigError, match="Did you mean"):
            launch(place, **options)
    assert api.asked == []


def test_missing_permissions_are_told_together_before_anything_is_started(api, splits, tmp_path):
    api.denied = {("trainjobs", "delete"), ("pods/log", "get")}
    with pytest.raises(ClusterError) as refused:
        launch(places(splits, tmp_path / "model"), cluster={"nodes": 1})
    assert "verb get on pods/log; verb delete on trainjobs (trainer.kubeflow.org)" in str(refused.value)
    assert "Service account default-editor in namespace team-a" in str(refused.value)
    assert api.bodies == []


def test_the_role_that_is_shipped_has_the_verbs_that_are_used_and_no_more(api, splits, tmp_path, monkeypatch, cluster):
    """A job that fails, then its successor, which never starts: between them they take every path."""
    place = places(splits, tmp_path / "model")
    pod = api.add_pod({"metadata": {"name": "step", "uid": "none"}}, 0)
    monkeypatch.setenv("KFP_POD_NAME", pod["metadata"]["name"])
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr("ropewalk.cluster.connect.connect", lambda **_: cluster)

    def fail(job):
        api.end_pod(api.add_pod(job, 0), 1)
        api.conclude(job["metadata"]["name"], "Failed")

    api.on_create = fail
    with pytest.raises(ClusterError, match="First to fail"):
        launch(place, cluster={"nodes": 1})
    api.on_create = lambda job: None
    with pytest.raises(ClusterError, match="has not started"):
        launch(place, cluster={"nodes": 1, "start_timeout_seconds": 1})
    granted = {(each.group, each.resource, each.verb) for each in granted_permissions("training")}
    assert set(api.asked) == granted


@pytest.mark.parametrize("role", ["training", "tuning"])
def test_the_role_is_printed_for_the_account_that_is_named(role):
    command = [sys.executable, "-m", "ropewalk.cluster", "--namespace", "team-b", "--service-account", "runner"]
    printed = subprocess.run([*command, "--role", role], check=True, capture_output=True, text=True).stdout
    assert printed == rbac_manifest(namespace="team-b", service_account="runner", role=role)
    assert "name: runner\n    namespace: team-b" in printed
    assert "NAMESPACE" not in printed


def test_what_is_set_on_the_step_is_on_the_pods_and_the_model_is_the_steps_output(api, splits, tmp_path):
    place = places(splits, tmp_path / "model")
    api.on_create = finish(api, splits, place)
    artifacts = {
        "train": dsl.Dataset(uri=place["train"].uri),
        "validation": dsl.Dataset(uri=place["validation"].uri),
        "preprocessor": dsl.Model(uri=place["preprocessor"].uri),
        "model": dsl.Model(uri=place["model"].uri),
        "curves": dsl.HTML(uri=str(tmp_path / "curves.html")),
    }
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    task_config = dsl.TaskConfig(resources={"limits": {"nvidia.com/gpu": "2"}}, tolerations=[toleration])
    shipped = {}
    exec(launch_training.component_spec.implementation.container.command[-1], shipped)
    shipped["launch_training"](**artifacts, epochs=1, config=SMALL, cluster={"nodes": 1.0}, task_config=task_config)
    spec = api.bodies[0]["spec"]
    assert spec["trainer"]["resourcesPerNode"]["limits"] == {"nvidia.com/gpu": "2"}
    assert spec["trainer"]["numProcPerNode"] == 2
    (job,) = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert job["template"]["spec"]["template"]["spec"]["tolerations"] == [toleration]
    assert artifacts["model"].metadata["digest"] == read_artifact(splits / "model", MODEL).digest


@pytest.fixture
def waiting(splits, tmp_path):
    """Return a function that starts a step which waits for its job, in a process of its own."""
    started = []

    def start():
        place = places(splits, tmp_path / "model")
        arguments = {
            "places": {name: vars(location) for name, location in place.items()},
            "epochs": 1,
            "seed": 0,
            "config": SMALL,
            "cluster": {"nodes": 1},
        }
        command = [sys.executable, "-c", WAIT, json.dumps(arguments), str(tmp_path / "curves.html")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def watched(api, times=1):
    api.wait_for(lambda: api.asked.count((GROUP, "trainjobs", "watch")) >= times, 40)


def test_a_step_that_was_killed_finds_its_job_again_and_takes_the_model(api, splits, tmp_path, waiting):
    place = places(splits, tmp_path / "model")
    first = waiting()
    watched(api)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (job,) = api.jobs.values()
    assert "deletionTimestamp" not in job["metadata"]
    seen = len(api.asked)
    second = waiting()
    api.wait_for(lambda: (GROUP, "trainjobs", "watch") in api.asked[seen:], 40)
    assert list(api.jobs.values()) == [job]
    shutil.copytree(splits / "model", place["model"].uri)
    api.conclude(job["metadata"]["name"], "Complete")
    said, _ = second.communicate(timeout=40)
    assert second.returncode == 0, said
    assert f"digest {read_artifact(tmp_path / 'model', MODEL).digest}" in said


def test_a_step_that_is_terminated_takes_its_job_with_it(api, waiting):
    step = waiting()
    watched(api)
    step.send_signal(signal.SIGTERM)
    said, _ = step.communicate(timeout=40)
    assert step.returncode == 128 + signal.SIGTERM, said
    api.wait_for(lambda: not api.jobs)


def test_an_empty_cluster_setting_trains_in_this_process(splits, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    place = places(splits, tmp_path / "model")
    assert launch(place, cluster={}) == read_artifact(tmp_path / "model", MODEL)
