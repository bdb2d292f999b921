"""A TrainJob's plan has what its config says, in fields that Kubeflow Trainer has."""

import json

import pytest
import yaml
from kube_api import SPEC, problems

from ropewalk.cluster.trainjob import TRAINJOB, TrainJobConfig, plan_trainjob, read_trainjob_state
from ropewalk.config import parse_config
from ropewalk.errors import ConfigError


def plan(step=None, arguments=(), **config):
    return plan_trainjob(
        "ropewalk.training.remote",
        arguments,
        identity="s3://b/run/train/model",
        prefix="train",
        image="ghcr.io/ropewalk/steps:1",
        config=parse_config(TrainJobConfig, config, section="cluster"),
        step=step,
    )


def spec(**options):
    made = plan(**options).body["spec"]
    assert list(problems(made, SPEC, "spec")) == []
    return made


def pod(**options):
    patch = spec(**options)["runtimePatches"][0]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert job["name"] == "node"
    return job["template"]["spec"]["template"]


FULL = {
    "runtime": "torch-h100",
    "runtime_kind": "TrainingRuntime",
    "nodes": 2.0,
    "gpus": 8,
    "cpu": "16",
    "memory": "64Gi",
    "shared_memory": "8Gi",
    "image": "registry.local/steps@sha256:0",
    "env": {"AWS_ENDPOINT_URL": "http://minio-service.kubeflow:9000"},
    "secret_env": {"AWS_ACCESS_KEY_ID": "mlpipeline-minio-artifact/accesskey"},
    "claims": [{"claim": "data", "path": "/data", "sub_path": "flights", "read_only": True}],
    "node_selector": {"pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "service_account": "trainer",
    "image_pull_secrets": ["registry"],
    "labels": {"kueue.x-k8s.io/queue-name": "research"},
    "deadline_seconds": 3600,
    "retries": 2,
}


def test_the_smallest_config_makes_one_pod_with_one_process_in_the_default_runtime():
    assert spec(arguments=["--epochs", "3"]) == {
        "runtimeRef": {
            "apiGroup": "trainer.kubeflow.org",
            "kind": "ClusterTrainingRuntime",
            "name": "torch-distributed",
        },
        "trainer": {
            "image": "ghcr.io/ropewalk/steps:1",
            "command": ["torchrun", "-m", "ropewalk.training.remote", "--epochs", "3"],
            "numNodes": 1,
            "numProcPerNode": 1,
        },
        "runtimePatches": spec()["runtimePatches"],
    }


def test_every_setting_is_in_the_plan():
    made = spec(**FULL)
    assert made["runtimeRef"] == {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": "torch-h100"}
    assert made["activeDeadlineSeconds"] == 3600
    trainer = made["trainer"]
    amounts = {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "8"}
    assert trainer["resourcesPerNode"] == {"limits": amounts, "requests": amounts}
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 8)
    assert trainer["command"][:3] == ["torchrun", "--max-restarts=2", "-m"]
    assert trainer["image"] == "registry.local/steps@sha256:0"
    secret = {"secretKeyRef": {"name": "mlpipeline-minio-artifact", "key": "accesskey"}}
    assert trainer["env"] == [
        {"name": "AWS_ENDPOINT_URL", "value": "http://minio-service.kubeflow:9000"},
        {"name": "AWS_ACCESS_KEY_ID", "valueFrom": secret},
    ]
    template = pod(**FULL)["spec"]
    assert template["serviceAccountName"] == "trainer"
    assert template["imagePullSecrets"] == [{"name": "registry"}]
    assert template["nodeSelector"] == {"pool": "gpu"}
    assert template["tolerations"] == FULL["tolerations"]
    assert template["affinity"] == {"nodeAffinity": {}}
    assert template["volumes"] == [
        {"name": "claim-0", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}},
    ]
    assert template["containers"][0]["volumeMounts"] == [
        {"name": "claim-0", "mountPath": "/data", "readOnly": True, "subPath": "flights"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]


def test_no_sidecar_keeps_a_pod_from_ending_by_label_and_by_annotation():
    metadata = pod()["metadata"]
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert metadata["annotations"]["sidecar.istio.io/inject"] == "false"


def test_annotations_and_security_are_those_of_the_pods():
    made = pod(annotations={"note": "x"}, security_context={"runAsNonRoot": True, "runAsUser": 1000})
    assert made["metadata"]["annotations"] == {"note": "x", "sidecar.istio.io/inject": "false"}
    assert made["spec"]["securityContext"] == {"runAsNonRoot": True, "runAsUser": 1000}
    assert "securityContext" not in pod()["spec"]


def test_labels_are_on_the_job_and_on_its_pods():
    assert plan(**FULL).body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert pod(**FULL)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"


def test_what_kubernetes_would_replace_in_a_command_is_left_alone():
    assert spec(arguments=["a$(HOME)b", "$x", "$$"])["trainer"]["command"][-3:] == ["a$$(HOME)b", "$x", "$$"]


def test_what_is_set_on_the_step_lands_on_the_pods_and_comes_first():
    step = {
        "resources": {"limits": {"nvidia.com/gpu": 4, "memory": "128Gi"}, "requests": {"cpu": "2"}},
        "env": [{"name": "NCCL_DEBUG", "value": "INFO"}, {"name": "AWS_ENDPOINT_URL", "value": "http://other"}],
        "volumes": [{"name": "work", "persistentVolumeClaim": {"claimName": "work"}}],
        "volume_mounts": [{"name": "work", "mountPath": "/work"}],
        "node_selector": {"pool": "h200"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": None,
    }
    trainer = spec(step=step, **FULL)["trainer"]
    limits = {"cpu": "16", "memory": "128Gi", "nvidia.com/gpu": "4"}
    assert trainer["resourcesPerNode"] == {"limits": limits, "requests": limits | {"cpu": "2"}}
    assert trainer["numProcPerNode"] == 4
    assert {entry["name"]: entry.get("value") for entry in trainer["env"]} == {
        "AWS_ENDPOINT_URL": "http://other",
        "AWS_ACCESS_KEY_ID": None,
        "NCCL_DEBUG": "INFO",
    }
    template = pod(step=step, **FULL)["spec"]
    assert template["nodeSelector"] == {"pool": "h200"}
    assert [entry["key"] for entry in template["tolerations"]] == ["spot", "nvidia.com/gpu"]
    assert [volume["name"] for volume in template["volumes"]] == ["work", "claim-0", "shm"]


def test_the_plan_can_be_applied_by_hand():
    made = plan(**FULL)
    assert yaml.safe_load(yaml.safe_dump(json.loads(json.dumps(made.body)))) == made.body
    assert (made.body["apiVersion"], made.body["kind"]) == ("trainer.kubeflow.org/v1alpha1", "TrainJob")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"nodes": 0}, "nodes=0: need at least 1"),
        ({"gpus": -1}, "gpus=-1"),
        ({"processes": 0}, "processes=0"),
        ({"retries": -1}, "retries=-1"),
        ({"deadline_seconds": 0}, "deadline_seconds=0"),
        ({"memory": "16 GB"}, "memory='16 GB'.*quantity"),
        ({"cleanup": "alway"}, "Did you mean 'always'"),
        ({"runtime_kind": "Runtime"}, "runtime_kind='Runtime'"),
        ({"env": {"PET_NNODES": "3"}}, "PET_NNODES is set by Kubeflow Trainer"),
        ({"env": {"A-B": "3"}}, "'A-B' is no name"),
        ({"env": {"A": "1"}, "secret_env": {"A": "s/k"}}, "both set A"),
        ({"secret_env": {"A": "secret"}}, "need 'secret/key'"),
        ({"claims": [{"claim": "c", "path": "data"}]}, "absolute path"),
        ({"node": 2}, "Did you mean 'nodes'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(config, message):
    with pytest.raises(ConfigError, match=message):
        plan(**config)


def condition(kind, **more):
    return {"type": kind, "status": "True", "reason": "R", "message": "m", **more}


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        (None, "waiting"),
        ({}, "waiting"),
        ({"jobsStatus": [{"name": "node", "ready": 0, "active": 1}]}, "waiting"),
        ({"jobsStatus": [{"name": "node", "ready": 1, "active": 1}]}, "running"),
        ({"conditions": [condition("Suspended")]}, "waiting"),
        ({"conditions": [condition("Suspended", status="False")], "jobsStatus": [{"ready": 1}]}, "running"),
        ({"conditions": [condition("Suspended", status="False"), condition("Complete")]}, "succeeded"),
        ({"conditions": [condition("Failed")]}, "failed"),
    ],
)
def test_the_state_is_read_from_conditions_and_jobs(status, phase):
    assert read_trainjob_state({"status": status} if status is not None else {}).phase == phase
    assert TRAINJOB.read_state is read_trainjob_state
