"""Kubeflow TrainJobs: a command that runs under torchrun on several nodes.

Fields as in Kubeflow Trainer 2.2 and newer: trainer.kubeflow.org/v1alpha1, pkg/apis/trainer/v1alpha1/trainjob_types.go
in github.com/kubeflow/trainer. Older releases have no `runtimePatches` and refuse the plan.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.cluster.launch import CLEANUP, ON_SUCCESS
from ropewalk.cluster.pod_config import PodConfig, environment, pod_template, resources, volume_mounts
from ropewalk.cluster.resource import FAILED, RUNNING, SUCCEEDED, WAITING, Plan, ResourceType, State, plan_resource
from ropewalk.cluster.step_settings import TRAINJOB_CONTAINER, gpus, runtime_patch, with_step
from ropewalk.errors import ConfigError, nearest

CONTAINER = TRAINJOB_CONTAINER
RANK_LABEL = "batch.kubernetes.io/job-completion-index"
RUNTIME_KINDS = ("ClusterTrainingRuntime", "TrainingRuntime")
_RESERVED_ENV = {"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"}


@dataclass(frozen=True, kw_only=True)
class TrainJobConfig(PodConfig):
    """Where and on what a training job runs: one cluster's settings, the same for every job."""

    runtime: str = "torch-distributed"
    """Name of the training runtime that the cluster's administrators installed."""
    runtime_kind: str = "ClusterTrainingRuntime"
    """"ClusterTrainingRuntime", or "TrainingRuntime" for one in the job's own namespace."""
    namespace: str = ""
    """Where the job runs; "" is the namespace of the step's pod."""
    nodes: int = 1
    """Pods, at least 1."""
    processes: int | None = None
    """Processes per pod, at least 1; absent: one per GPU, or one."""
    deadline_seconds: int | None = None
    """Seconds that the job may run, at least 1; absent: no limit."""
    retries: int = 0
    """How often torchrun starts the processes of a pod again after a failure, 0 or more."""
    start_timeout_seconds: int = 3600
    """Seconds without any running pod after which the job is given up, at least 1; a suspended job may wait."""
    cleanup: str = ON_SUCCESS
    """When a job that has ended is deleted: "always", "on_success" or "never"."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (
            ("nodes", 1),
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
        if self.cleanup not in CLEANUP:
            raise ConfigError(
                f"cleanup={self.cleanup!r}: need one of {', '.join(CLEANUP)}.{nearest(self.cleanup, CLEANUP)}"
            )
        if reserved := sorted({*self.env, *self.secret_env} & _RESERVED_ENV):
            raise ConfigError(f"env: {reserved[0]} is set by Kubeflow Trainer. Use `nodes` and `processes` instead.")


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
    guide="docs/cluster-training.md",
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
    restarts = (f"--max-restarts={config.retries}",) if config.retries else ()
    manifest = trainjob_manifest(["torchrun", *restarts, "-m", module, *arguments], image=image, config=config)
    spec = with_step(manifest, step or {})["spec"]
    spec["trainer"]["numProcPerNode"] = config.processes or max(
        1, gpus(spec["trainer"].get("resourcesPerNode", {}), config.gpu_resource)
    )
    if config.deadline_seconds:
        spec["activeDeadlineSeconds"] = config.deadline_seconds
    return plan_resource(TRAINJOB, prefix=prefix, identity=identity, spec=spec, labels=config.labels)


def trainjob_manifest(command: Sequence[str], *, image: str, config: TrainJobConfig) -> dict[str, Any]:
    """Return a TrainJob without a name that runs `command`, which must be torchrun's, once per pod.

    Args:
        command: Its words.
        image: Image where the config names none.
        config: The cluster's settings.
    """
    template, mounts = pod_template(config), volume_mounts(config)
    if mounts:
        template["spec"]["containers"] = [{"name": CONTAINER, "volumeMounts": mounts}]
    needs = resources(config)
    trainer = {
        "image": config.image or image,
        # Kubernetes replaces $(NAME) in commands; a doubled dollar sign is one that it leaves alone.
        "command": [part.replace("$(", "$$(") for part in command],
        "numNodes": config.nodes,
        # The runtime's own default is one process per processor core when there is no GPU.
        "numProcPerNode": config.processes or max(1, gpus(needs, config.gpu_resource)),
        **({"resourcesPerNode": needs} if needs else {}),
        **({"env": env} if (env := environment(config)) else {}),
    }
    spec = {
        "runtimeRef": {"apiGroup": TRAINJOB.group, "kind": config.runtime_kind, "name": config.runtime},
        "trainer": trainer,
        "runtimePatches": [runtime_patch(template)],
    }
    return {"apiVersion": f"{TRAINJOB.group}/{TRAINJOB.version}", "kind": TRAINJOB.kind, "spec": spec}
