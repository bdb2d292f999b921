"""What a cluster's settings say about pods, whatever kind of job they belong to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ropewalk.errors import ConfigError

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


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
class PodConfig:
    """What pods run in and on."""

    gpus: int = 0
    """GPUs per pod, 0 or more."""
    gpu_resource: str = "nvidia.com/gpu"
    """What the cluster calls a GPU, such as "amd.com/gpu" or "nvidia.com/mig-3g.40gb"."""
    cpu: str = ""
    """Processor cores per pod, requested and limited, such as "8" or "500m"; "" is the cluster's default."""
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
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the pods."""
    security_context: Mapping[str, Any] = field(default_factory=dict)
    """As whom the pods run, as in a pod's manifest, such as {"runAsNonRoot": true, "runAsUser": 1000}."""

    def __post_init__(self) -> None:
        if self.gpus < 0:
            raise ConfigError(f"gpus={self.gpus}: need at least 0.")
        for name in ("cpu", "memory", "shared_memory"):
            value = getattr(self, name)
            if value and not _QUANTITY.fullmatch(value):
                raise ConfigError(f"{name}={value!r}: need a Kubernetes quantity, such as '4', '500m' or '16Gi'.")
        for name in (*self.env, *self.secret_env):
            if not _ENV_NAME.fullmatch(name):
                raise ConfigError(f"env: {name!r} is no name of an environment variable.")
        if both := self.env.keys() & self.secret_env.keys():
            raise ConfigError(f"env and secret_env both set {', '.join(sorted(both))}: keep one.")
        for name, source in self.secret_env.items():
            if len([part for part in source.split("/") if part]) != 2:
                raise ConfigError(f"secret_env: {name}={source!r}: need 'secret/key', such as 'store/access'.")


def pod_template(config: PodConfig) -> dict[str, Any]:
    """Return metadata and spec of the config's pods, less their containers; see `container_parts`."""
    volumes = [
        {
            "name": f"claim-{number}",
            "persistentVolumeClaim": {"claimName": claim.claim, "readOnly": claim.read_only},
        }
        for number, claim in enumerate(config.claims)
    ]
    if config.shared_memory:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": config.shared_memory}})
    spec = {
        "serviceAccountName": config.service_account,
        "imagePullSecrets": [{"name": name} for name in config.image_pull_secrets],
        "nodeSelector": dict(config.node_selector),
        "tolerations": [dict(entry) for entry in config.tolerations],
        "affinity": dict(config.affinity),
        "securityContext": dict(config.security_context),
        "volumes": volumes,
    }
    # A sidecar never ends, so the job would not either; Istio reads the label, releases before 1.10 the annotation.
    metadata = {"labels": {**config.labels, **NO_SIDECAR}, "annotations": {**config.annotations, **NO_SIDECAR}}
    return {"metadata": metadata, "spec": {name: value for name, value in spec.items() if value}}


NO_SIDECAR = {"sidecar.istio.io/inject": "false"}


def volume_mounts(config: PodConfig) -> list[dict[str, Any]]:
    """Return where the volumes of `pod_template` are mounted."""
    mounts: list[dict[str, Any]] = []
    for number, claim in enumerate(config.claims):
        sub_path = {"subPath": claim.sub_path} if claim.sub_path else {}
        mounts.append({"name": f"claim-{number}", "mountPath": claim.path, "readOnly": claim.read_only} | sub_path)
    if config.shared_memory:
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - a mount, no temporary file
    return mounts


def resources(config: PodConfig) -> dict[str, dict[str, str]]:
    """Return limits and requests of the container that works, {} where the config says nothing."""
    amounts = {"cpu": config.cpu, "memory": config.memory, config.gpu_resource: str(config.gpus or "")}
    own = {name: amount for name, amount in amounts.items() if amount}
    return {"limits": own, "requests": dict(own)} if own else {}


def environment(config: PodConfig) -> list[dict[str, Any]]:
    """Return the environment of the container that works."""
    entries: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in config.env.items()]
    for name, source in config.secret_env.items():
        secret, _, key = source.strip("/").partition("/")
        entries.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return entries
