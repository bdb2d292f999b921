"""Trials of each kind are one attempt, in one line of shell, with what the cluster's settings say."""

import shlex
from dataclasses import replace

import pytest

from ropewalk.cluster.pod_config import ClaimMount, PodConfig
from ropewalk.cluster.step_settings import with_step
from ropewalk.cluster.trainjob import TrainJobConfig
from ropewalk.tuning.katib_export import export_experiment
from ropewalk.tuning.trial_templates import job_template, pytorch_job_template, train_job_template

COMMAND = ("python", "-m", "ropewalk.training", "--rate=${trialParameters.x}", "--out=/m/${trialParameters.trial_name}")
POD = {
    "gpus": 2,
    "memory": "8Gi",
    "shared_memory": "1Gi",
    "env": {"A": "1"},
    "secret_env": {"KEY": "store/access"},
    "claims": (ClaimMount(claim="data", path="/data", read_only=True),),
    "service_account": "trainer",
}


@pytest.fixture
def sent(experiment):
    """Return a function that gives the trial's resource as it is sent to Katib, checked as every experiment is."""

    def make(template):
        made = replace(experiment(limits={"max_trials": 2, "trial_seconds": 90}), trial=template)
        return export_experiment(made)["spec"]["trialTemplate"]

    return make


def test_a_job_is_one_attempt_with_the_settings_of_its_pod(sent):
    template = sent(job_template(COMMAND, ["x", "other"], image="i", config=PodConfig(**POD)))
    assert [(each["name"], each["reference"]) for each in template["trialParameters"]] == [
        ("x", "x"),
        ("trial_name", "${trialSpec.Name}"),
    ]
    spec = template["trialSpec"]["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 90)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["serviceAccountName"]) == ("Never", "trainer")
    (container,) = pod["containers"]
    assert (container["name"], container["image"], container["command"]) == ("trial", "i", ["sh", "-c"])
    assert container["args"] == [shlex.join(COMMAND)]
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": "2"}
    assert container["env"] == [
        {"name": "A", "value": "1"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "store", "key": "access"}}},
    ]
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/data", "/dev/shm"]
    assert [each["name"] for each in pod["volumes"]] == ["claim-0", "shm"]


def test_a_train_job_runs_under_torchrun_and_its_first_pod_has_the_metrics(sent):
    template = sent(train_job_template(COMMAND, ["x"], image="i", config=TrainJobConfig(nodes=2, **POD)))
    assert template["primaryContainerName"] == "node"
    assert template["primaryPodLabels"] == {
        "jobset.sigs.k8s.io/replicatedjob-name": "node",
        "batch.kubernetes.io/job-completion-index": "0",
    }
    spec = template["trialSpec"]["spec"]
    trainer = spec["trainer"]
    assert (trainer["command"], trainer["args"]) == (["sh", "-c"], [shlex.join(["torchrun", *COMMAND[1:]])])
    assert (trainer["numNodes"], trainer["numProcPerNode"], spec["activeDeadlineSeconds"]) == (2, 2, 90)


def test_a_program_that_is_not_python_is_no_script_for_torchrun(sent):
    template = train_job_template(("./train", "--rate=${trialParameters.x}"), ["x"], image="i")
    assert sent(template)["trialSpec"]["spec"]["trainer"]["args"][0].startswith("torchrun --no-python ./train")


def test_a_pytorch_job_has_a_master_and_workers_of_one_attempt(sent):
    template = sent(pytorch_job_template(COMMAND, ["x"], image="i", config=TrainJobConfig(nodes=3, **POD)))
    assert template["primaryPodLabels"] == {"training.kubeflow.org/job-role": "master"}
    spec = template["trialSpec"]["spec"]
    assert spec["runPolicy"] == {"backoffLimit": 0, "activeDeadlineSeconds": 90}
    replicas = spec["pytorchReplicaSpecs"]
    assert {role: each["replicas"] for role, each in replicas.items()} == {"Master": 1, "Worker": 2}
    assert {each["restartPolicy"] for each in replicas.values()} == {"Never"}
    (container,) = replicas["Master"]["template"]["spec"]["containers"]
    assert container["name"] == template["primaryContainerName"] == "pytorch"


@pytest.mark.parametrize("make", [job_template, train_job_template, pytorch_job_template])
def test_no_sidecar_of_istios_is_put_into_any_pod_and_a_steps_gpus_are_taken(sent, make):
    template = make(COMMAND, ["x"], image="i")
    manifest = with_step(template.manifest, {"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    text = str(sent(replace(template, manifest=manifest)))
    assert text.count("'sidecar.istio.io/inject': 'false'") == 2
    assert "'nvidia.com/gpu': '1'" in text
