"""Kubeflow TrainJobs: a command that runs under torchrun on several nodes.

Fields as in Kubeflow Trainer 2.2 and newer: trainer.kubeflow.org/v1alpha1, pkg/apis/trainer/v1alpha1/trainjob_types.go
in github.com/kubeflow/trainer. Older releases have no `runtimePatches` and refuse the plan.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ropewalk.cluster.launch import CLEANUP, ON_SUCCESS
from ropewalk.cluster.resource import FAILED, RUNNING, SUCCEEDED, WAITING, Plan, ResourceType, State, plan_resource
from ropewalk.errors import ConfigError, nearest

CONTAINER = "node"
"""Name of the runtime's replicated job and of its container that trains."""
RANK_LABEL = "batch.kubernetes.io/job-completion-index"
MANAGER = "ropewalk.dev/launcher"
RUNTIME_KINDS = ("ClusterTrainingRuntime", "TrainingRuntime")
_RESERVED_ENV = {"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"}
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_NO_SIDECAR = {"sidecar.istio.io/inject": "false"}


@dataclass(frozen=True, kw_only=True)
class ClaimMount:
    """A persistent volume claim in the job's pods."""

    claim: str
    """Name of the claim, in the job's namespace."""
    path: str
    """Where it is mounted, absolute."""
    sub_path: str = ""
    """Folder of the claim that is mounted; "" is all of it."""
    read_only: bool = False
    """Whether pods may only read it."""

    def __post_init__(self) -> None:
        if not self.claim or not self.path.startswith("/"):
            raise ConfigError(
                f"claims: claim={self.claim!r}, path={self.path!r}: need a claim's name, and an absolute path."
            )


@dataclass(frozen=True, kw_only=True)
class TrainJobConfig:
    """Where and on what a training job runs: one cluster's settings, the same for every job."""

    runtime: str = "torch-distributed"
    """Name of the training runtime that the cluster's administrators installed."""
    runtime_kind: str = "ClusterTrainingRuntime"
    """"ClusterTrainingRuntime", or "TrainingRuntime" for one in the job's own namespace."""
    namespace: str = ""
    """Where the job runs; "" is the namespace of the step's pod."""
    nodes: int = 1
    """Pods, at least 1."""
    gpus: int = 0
    """GPUs per pod, 0 or more."""
    gpu_resource: str = "nvidia.com/gpu"
    """What the cluster calls a GPU, such as "amd.com/gpu" or "nvidia.com/mig-3g.40gb"."""
    processes: int | None = None
    """Processes per pod, at least 1; absent: one per GPU, or one."""
    cpu: str = ""
    """Processor cores per pod, requested and limited, such as "8" or "500m"; "" is the runtime's default."""
    memory: str = ""
    """Memory per pod, requested and limited, shared memory included, such as "32Gi"; "" as for `cpu`."""
    shared_memory: str = ""
    """Size of /dev/shm, such as "8Gi"; "" is the container engine's default, mostly 64 MiB."""
    image: str = ""
    """Image of the pods; "" is Ropewalk's own of this release."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables, by name."""
    secret_env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables from secrets: name to "secret/key", such as {"AWS_ACCESS_KEY_ID": "store/access"}."""
    claims: tuple[ClaimMount, ...] = ()
    """Persistent volume claims in the pods."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[Mapping[str, Any], ...] = ()
    """Taints that the pods tolerate, as in a pod's manifest."""
    affinity: Mapping[str, Any] = field(default_factory=dict)
    """Affinity, as in a pod's manifest."""
    service_account: str = ""
    """Service account of the pods; "" is the namespace's default."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets with the registry's credentials."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of job and pods, such as a queue's name or a cost centre."""
    deadline_seconds: int | None = None
    """Seconds that the job may run, at least 1; absent: no limit."""
    retries: int = 0
    """How often torchrun starts the processes of a pod again after a failure, 0 or more."""
    start_timeout_seconds: int = 3600
    """Seconds without any running pod after which the job is given up, at least 1; a suspended job may wait."""
    cleanup: str = ON_SUCCESS
    """When a job that has ended is deleted: "always", "on_success" or "never"."""

    def __post_init__(self) -> None:
        for name, least in (
            ("nodes", 1),
            ("gpus", 0),
            ("processes", 1),
            ("deadline_seconds", 1),
            ("retries", 0),
            ("start_timeout_seconds", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name}={value}: need at least {least}.")
        if self.runtime_kind not in RUNTIME_KINDS:
            raise ConfigError(f"runtime_kind={self.runtime_kind!r}: need one of {', '.join(RUNTIME_KINDS)}.")
        for name in ("cpu", "memory", "shared_memory"):
            value = getattr(self, name)
            if value and not _QUANTITY.fullmatch(value):
                raise ConfigError(f"{name}={value!r}: need a Kubernetes quantity, such as '4', '500m' or '16Gi'.")
        if self.cleanup not in CLEANUP:
            raise ConfigError(
                f"cleanup={self.cleanup!r}: need one of {', '.join(CLEANUP)}.{nearest(self.cleanup, CLEANUP)}"
            )
        self._check_environment()

    def _check_environment(self) -> None:
        for name in (*self.env, *self.secret_env):
            if not _ENV_NAME.fullmatch(name):
                raise ConfigError(f"env: {name!r} is no name of an environment variable.")
            if name in _RESERVED_ENV:
                raise ConfigError(f"env: {name} is set by Kubeflow Trainer. Use `nodes` and `processes` instead.")
        if both := self.env.keys() & self.secret_env.keys():
            raise ConfigError(f"env and secret_env both set {', '.join(sorted(both))}: keep one.")
        for name, source in self.secret_env.items():
            if len([part for part in source.split("/") if part]) != 2:
                raise ConfigError(f"secret_env: {name}={source!r}: need 'secret/key', such as 'store/access'.")


def read_trainjob_state(resource: Mapping[str, Any]) -> State:
    """Return the state of a TrainJob as the API server returns it."""
    status = resource.get("status", {})
    holding = {entry["type"]: entry for entry in status.get("conditions", []) if entry["status"] == "True"}
    for condition, phase in (("Complete", SUCCEEDED), ("Failed", FAILED), ("Suspended", WAITING)):
        if condition in holding:
            entry = holding[condition]
            reason = condition if phase == WAITING else entry.get("reason", "")
            return State(phase=phase, reason=reason, message=entry.get("message", ""))
    ready = any(job["ready"] for job in status.get("jobsStatus", []))
    return State(phase=RUNNING if ready else WAITING)


TRAINJOB = ResourceType(
    group="trainer.kubeflow.org",
    version="v1alpha1",
    plural="trainjobs",
    kind="TrainJob",
    product="Kubeflow Trainer",
    read_state=read_trainjob_state,
)


def plan_trainjob(
    module: str,
    arguments: Sequence[str],
    *,
    identity: str,
    prefix: str,
    image: str,
    config: TrainJobConfig,
    step: Mapping[str, Any] | None = None,
) -> Plan:
    """Return the request for a TrainJob that runs `python -m module arguments` once per process.

    Args:
        module: Python module in the image.
        arguments: Its command line.
        identity: As for `plan_resource`.
        prefix: Start of the job's name.
        image: Image where the config names none.
        config: The cluster's settings.
        step: What was set on the pipeline step itself, as fragments of a pod's manifest: resources, env, volumes,
            volume_mounts, node_selector, tolerations, affinity. Comes before the config.
    """
    step = {name: value for name, value in (step or {}).items() if value}
    patch = {
        "manager": MANAGER,
        "trainingRuntimeSpec": {
            "template": {
                "spec": {
                    "replicatedJobs": [
                        {"name": CONTAINER, "template": {"spec": {"template": _pod(config, step)}}},
                    ]
                }
            }
        },
    }
    resources = _resources(config, step)
    restarts = (f"--max-restarts={config.retries}",) if config.retries else ()
    command = ["torchrun", *restarts, "-m", module, *arguments]
    trainer = {
        "image": config.image or image,
        # Kubernetes replaces $(NAME) in commands; a doubled dollar sign is one that it leaves alone.
        "command": [part.replace("$(", "$$(") for part in command],
        "numNodes": config.nodes,
        # The runtime's own default is one process per processor core when there is no GPU.
        "numProcPerNode": config.processes or max(1, _gpus(resources, config)),
        **({"resourcesPerNode": resources} if resources else {}),
        **({"env": env} if (env := _env(config, step)) else {}),
    }
    spec = {
        "runtimeRef": {"apiGroup": TRAINJOB.group, "kind": config.runtime_kind, "name": config.runtime},
        "trainer": trainer,
        "runtimePatches": [patch],
        **({"activeDeadlineSeconds": config.deadline_seconds} if config.deadline_seconds else {}),
    }
    return plan_resource(TRAINJOB, prefix=prefix, identity=identity, spec=spec, labels=config.labels)


def _pod(config: TrainJobConfig, step: Mapping[str, Any]) -> dict[str, Any]:
    volumes, mounts = list(step.get("volumes", [])), list(step.get("volume_mounts", []))
    for number, claim in enumerate(config.claims):
        name = f"claim-{number}"
        volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim.claim, "readOnly": claim.read_only}})
        sub_path = {"subPath": claim.sub_path} if claim.sub_path else {}
        mounts.append({"name": name, "mountPath": claim.path, "readOnly": claim.read_only} | sub_path)
    if config.shared_memory:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": config.shared_memory}})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - a mount, no temporary file
    spec = {
        "serviceAccountName": config.service_account,
        "imagePullSecrets": [{"name": name} for name in config.image_pull_secrets],
        "nodeSelector": dict(config.node_selector) | step.get("node_selector", {}),
        "tolerations": [*step.get("tolerations", []), *(dict(entry) for entry in config.tolerations)],
        "affinity": step.get("affinity") or dict(config.affinity),
        "volumes": volumes,
        "containers": [{"name": CONTAINER, "volumeMounts": mounts}] if mounts else [],
    }
    # A sidecar never ends, so the job would not either; Istio reads the label, releases before 1.10 the annotation.
    metadata = {"labels": {**config.labels, **_NO_SIDECAR}, "annotations": _NO_SIDECAR}
    return {"metadata": metadata, "spec": {name: value for name, value in spec.items() if value}}


def _resources(config: TrainJobConfig, step: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    amounts = {"cpu": config.cpu, "memory": config.memory, config.gpu_resource: str(config.gpus or "")}
    own = {name: amount for name, amount in amounts.items() if amount}
    given = step.get("resources", {})
    merged = {
        kind: own | {name: str(amount) for name, amount in given.get(kind, {}).items()}
        for kind in ("limits", "requests")
    }
    # A limit that only the step sets is its request, too: the config's lower or higher one must not contradict it.
    merged["requests"] |= {
        name: amount for name, amount in merged["limits"].items() if name not in given.get("requests", {})
    }
    return {kind: amounts for kind, amounts in merged.items() if amounts}


def _gpus(resources: Mapping[str, Mapping[str, str]], config: TrainJobConfig) -> int:
    limits = resources.get("limits", {})
    # Whole devices of whatever vendor: "nvidia.com/gpu", "amd.com/gpu"; slices have the name that the config gives.
    return sum(int(amount) for name, amount in limits.items() if name == config.gpu_resource or name.endswith("/gpu"))


def _env(config: TrainJobConfig, step: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {name: {"name": name, "value": value} for name, value in config.env.items()}
    for name, source in config.secret_env.items():
        secret, _, key = source.strip("/").partition("/")
        entries[name] = {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
    entries |= {entry["name"]: entry for entry in step.get("env", [])}
    return list(entries.values())
