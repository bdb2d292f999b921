"""What one trial is on a cluster, out of a command: a Job, a TrainJob or a PyTorchJob.

Each is one attempt in one line of shell, which survives that Katib rewrites the command (see `wrapping`).
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ropewalk.cluster.pod_config import PodConfig, environment, pod_template, resources, volume_mounts
from ropewalk.cluster.trainjob import CONTAINER, RANK_LABEL, TrainJobConfig, trainjob_manifest
from ropewalk.tuning.placeholders import names_in
from ropewalk.tuning.spec import TrialParameter, TrialTemplate

JOB_CONTAINER = "trial"
PYTORCH_CONTAINER = "pytorch"
"""The name that the training operator demands."""
TRIAL_NAME = "trial_name"
"""The placeholder of the trial's own name."""


def job_template(
    command: Sequence[str],
    parameters: Sequence[str],
    *,
    image: str,
    config: PodConfig = PodConfig(),  # noqa: B008
) -> TrialTemplate:
    """Return a template whose Job runs the command once.

    Args:
        command: Its words, with ${trialParameters.NAME} for the parameter NAME, or trial_name for the trial's name.
        parameters: Names of the search space.
        image: The container's image, where the config names none.
        config: The cluster's settings of pods.
    """
    pod = _pod(config, JOB_CONTAINER, image=image, line=shlex.join(command))
    # One attempt: a second one would add its metrics to those of the first.
    spec = {"backoffLimit": 0, "template": pod}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}
    return _template(manifest, parameters, container=JOB_CONTAINER)


def train_job_template(
    command: Sequence[str],
    parameters: Sequence[str],
    *,
    image: str,
    config: TrainJobConfig = TrainJobConfig(),  # noqa: B008
) -> TrialTemplate:
    """Return a template whose TrainJob runs the command under torchrun, on one or several nodes.

    Args:
        command: As for `job_template`: what torchrun is to run, such as python -m ropewalk.training ...
        parameters: As for `job_template`.
        image: As for `job_template`.
        config: The cluster's settings, with nodes, processes and runtime.
    """
    manifest = trainjob_manifest(_torchrun(command, config), image=image, config=config)
    # Kubernetes' own placeholders are left as they were: Katib's shell is between it and the command.
    manifest["spec"]["trainer"] |= {"command": ["sh", "-c"], "args": [shlex.join(_torchrun(command, config))]}
    labels = {"jobset.sigs.k8s.io/replicatedjob-name": CONTAINER, RANK_LABEL: "0"}
    return _template(manifest, parameters, container=CONTAINER, labels=labels)


def pytorch_job_template(
    command: Sequence[str],
    parameters: Sequence[str],
    *,
    image: str,
    config: TrainJobConfig = TrainJobConfig(),  # noqa: B008
) -> TrialTemplate:
    """Return a template whose PyTorchJob (training operator v1) runs the command under torchrun.

    Args:
        command: As for `train_job_template`.
        parameters: As for `job_template`.
        image: As for `job_template`.
        config: The cluster's settings; a PyTorchJob has no runtime.
    """
    pod = _pod(config, PYTORCH_CONTAINER, image=image, line=shlex.join(_torchrun(command, config)))
    replicas = {"Master": 1, "Worker": config.nodes - 1}
    spec = {
        "nprocPerNode": str(config.processes or max(1, config.gpus)),
        "runPolicy": {"backoffLimit": 0},
        "pytorchReplicaSpecs": {
            # Inside pods restartPolicy is the operator's: it is given beside the template.
            role: {"replicas": count, "restartPolicy": "Never", "template": pod}
            for role, count in replicas.items()
            if count
        },
    }
    manifest = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": spec}
    labels = {"training.kubeflow.org/job-role": "master"}
    return _template(manifest, parameters, container=PYTORCH_CONTAINER, labels=labels)


def _pod(config: PodConfig, container: str, *, image: str, line: str) -> dict[str, Any]:
    pod = pod_template(config)
    work = {
        "name": container,
        "image": config.image or image,
        "command": ["sh", "-c"],
        "args": [line],
        "env": environment(config),
        "resources": resources(config),
        "volumeMounts": volume_mounts(config),
    }
    kept = {name: value for name, value in work.items() if value or name == "image"}
    return {**pod, "spec": {"restartPolicy": "Never", "containers": [kept], **pod["spec"]}}


def _torchrun(command: Sequence[str], config: TrainJobConfig) -> list[str]:
    restarts = (f"--max-restarts={config.retries}",) if config.retries else ()
    python = command[0] in ("python", "python3")
    return ["torchrun", *restarts, *(command[1:] if python else ["--no-python", *command])]


def _template(
    manifest: Mapping[str, Any], parameters: Sequence[str], *, container: str, labels: Mapping[str, str] | None = None
) -> TrialTemplate:
    used = names_in(manifest)
    references = {name: name for name in parameters if name in used}
    if TRIAL_NAME in used and TRIAL_NAME not in parameters:
        references[TRIAL_NAME] = "${trialSpec.Name}"
    return TrialTemplate(
        manifest=dict(manifest),
        parameters=tuple(TrialParameter(name=name, reference=reference) for name, reference in references.items()),
        primary_container=container,
        primary_labels=dict(labels or {}),
    )
