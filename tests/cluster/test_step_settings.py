"""What is set on a step is on the pods of the job that the step starts, whatever its kind, and comes first."""

import copy

import pytest

from ropewalk.cluster.step_settings import with_step
from ropewalk.errors import ConfigError

STEP = {
    "resources": {"limits": {"nvidia.com/gpu": 2, "memory": "8Gi"}, "requests": {"cpu": "2"}},
    "env": [{"name": "A", "value": "step"}, {"name": "C", "value": "3"}],
    "volumes": [{"name": "work", "persistentVolumeClaim": {"claimName": "work"}}],
    "volume_mounts": [{"name": "work", "mountPath": "/work"}],
    "node_selector": {"pool": "h200"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"x": 1}},
}


def pod(name):
    work = {
        "name": name,
        "image": "i",
        "env": [{"name": "A", "value": "own"}, {"name": "B", "value": "2"}],
        "resources": {"limits": {"memory": "4Gi", "cpu": "4"}, "requests": {"memory": "1Gi", "cpu": "1"}},
        "volumeMounts": [{"name": "own", "mountPath": "/own"}, {"name": "own", "mountPath": "/work"}],
    }
    spec = {
        "restartPolicy": "Never",
        "containers": [{"name": "helper", "image": "h"}, work],
        "nodeSelector": {"pool": "any", "zone": "a"},
        "tolerations": [{"key": "gpu"}],
        "affinity": {"podAffinity": {}},
        "volumes": [{"name": "own", "emptyDir": {}}],
    }
    return {"metadata": {"labels": {"a": "b"}}, "spec": spec}


JOB = {"kind": "Job", "spec": {"backoffLimit": 0, "template": pod("trial")}}
PYTORCH_JOB = {
    "kind": "PyTorchJob",
    "spec": {"pytorchReplicaSpecs": {role: {"replicas": 1, "template": pod("trial")} for role in ("Master", "Worker")}},
}


def check_pod(template):
    spec = template["spec"]
    helper, work = spec["containers"]
    assert helper == {"name": "helper", "image": "h"}
    assert work["resources"] == {
        "limits": {"memory": "8Gi", "cpu": "4", "nvidia.com/gpu": "2"},
        "requests": {"memory": "8Gi", "cpu": "2", "nvidia.com/gpu": "2"},
    }
    assert [(each["name"], each["value"]) for each in work["env"]] == [("A", "step"), ("B", "2"), ("C", "3")]
    assert [(each["name"], each["mountPath"]) for each in work["volumeMounts"]] == [("work", "/work"), ("own", "/own")]
    assert [each["name"] for each in spec["volumes"]] == ["work", "own"]
    assert spec["nodeSelector"] == {"pool": "h200", "zone": "a"}
    assert [each["key"] for each in spec["tolerations"]] == ["spot", "gpu"]
    assert spec["affinity"] == {"nodeAffinity": {"x": 1}}
    assert template["metadata"] == {"labels": {"a": "b"}}


def test_a_jobs_named_container_and_its_pod_have_the_steps_settings():
    before = copy.deepcopy(JOB)
    check_pod(with_step(JOB, STEP, container="trial")["spec"]["template"])
    assert before == JOB


def test_every_pod_of_a_pytorch_job_has_them_and_a_process_per_gpu():
    spec = with_step(PYTORCH_JOB, STEP, container="trial")["spec"]
    assert spec["nprocPerNode"] == "2"
    for replica in spec["pytorchReplicaSpecs"].values():
        check_pod(replica["template"])


def test_a_train_job_of_ones_own_gets_a_patch_of_its_pods_and_a_process_per_gpu():
    made = with_step({"kind": "TrainJob", "spec": {"trainer": {"numNodes": 2}}}, STEP)
    trainer = made["spec"]["trainer"]
    assert trainer["resourcesPerNode"]["limits"] == {"nvidia.com/gpu": "2", "memory": "8Gi"}
    assert (trainer["numProcPerNode"], trainer["env"]) == (2, STEP["env"])
    (patch,) = made["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"pool": "h200"}
    assert spec["containers"] == [{"name": "node", "volumeMounts": STEP["volume_mounts"]}]


@pytest.mark.parametrize("step", [{}, {"resources": {}, "env": [], "affinity": None}])
def test_nothing_set_changes_nothing(step):
    assert with_step(JOB, step) == JOB
    assert with_step({"kind": "MPIJob"}, step) == {"kind": "MPIJob"}


def test_a_kind_whose_pods_are_not_known_is_refused_when_something_is_set():
    with pytest.raises(ConfigError, match="The step sets env, but where that goes in a MPIJob is not known"):
        with_step({"kind": "MPIJob"}, {"env": STEP["env"]})
