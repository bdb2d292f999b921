"""What the pod of a step gets: resources, placement, retries and the rest. None means: nothing is said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from ropewalk.errors import ConfigError

_CPU = re.compile(r"\d+(\.\d+)?|\d+m")
# Kubernetes knows more forms; KFP's compiler takes whole numbers only, and "K", which Kubernetes does not know.
_BYTES = re.compile(r"(\d+)(Ki|Mi|Gi|Ti|Pi|Ei|M|G|T|P|E)?")
_UNITS: dict[str, int] = {"": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGTPE", start=1)
    for suffix, base in (("i", 1024), ("", 1000))
}
_LABEL = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint of nodes that the pod tolerates."""

    key: str = ""
    """The taint's key; "" tolerates every taint, with operator Exists."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """"Exists": any value; "Equal": `value`."""
    value: str = ""
    """The taint's value."""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    """The taint's effect; "" is each of them."""
    seconds: int | None = None
    """How long a pod stays on a node that gets a NoExecute taint; absent: for ever."""

    def __post_init__(self) -> None:
        if not self.key and self.operator != "Exists":
            raise ConfigError("key: need the taint's key, or operator: Exists to tolerate every taint.")
        if self.operator == "Exists" and self.value:
            raise ConfigError(f"value={self.value!r}: operator Exists takes no value. Leave it, or use Equal.")

    def manifest(self) -> dict[str, Any]:
        """Return it as a pod's manifest has it."""
        entry = {"key": self.key, "operator": self.operator, "value": self.value, "effect": self.effect}
        seconds = {} if self.seconds is None else {"tolerationSeconds": self.seconds}
        return {name: value for name, value in entry.items() if value} | seconds


@dataclass(frozen=True, kw_only=True)
class NodeRule:
    """A demand on the labels of nodes, as in a pod's node affinity."""

    key: str
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """How the label must relate to `values`."""
    values: tuple[str, ...] = ()
    """What the label may be; none for Exists and DoesNotExist, one whole number for Gt and Lt."""
    weight: int | None = None
    """1 to 100: it is only preferred, the more the higher. Absent: it is required, and all that are hold together."""

    def __post_init__(self) -> None:
        if self.weight is not None and not 1 <= self.weight <= 100:
            raise ConfigError(f"weight={self.weight}: need 1 to 100, or none where the rule is a must.")
        if bool(self.values) == (self.operator in ("Exists", "DoesNotExist")):
            raise ConfigError(f"values={list(self.values)}: {self.operator} takes {'none' if self.values else 'some'}.")

    def expression(self) -> dict[str, Any]:
        """Return it as a pod's manifest has it."""
        return {"key": self.key, "operator": self.operator, **({"values": list(self.values)} if self.values else {})}


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a failed step is tried again. KFP 2.17 does not count a lost node or a deleted pod as a failure."""

    count: int
    """How often, 0 or more."""
    backoff_seconds: int = 30
    """Pause before the first retry."""
    backoff_factor: float = 2.0
    """What each pause is multiplied with to give the next, at least 1."""
    backoff_max_seconds: int = 3600
    """Longest pause."""

    def __post_init__(self) -> None:
        for name, least in (("count", 0), ("backoff_seconds", 0), ("backoff_factor", 1), ("backoff_max_seconds", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}={getattr(self, name)}: need at least {least}.")


@dataclass(frozen=True, kw_only=True)
class Security:
    """As whom the container runs. What an administrator has set for KFP comes before it."""

    run_as_user: int | None = None
    """The user's number, 0 or more."""
    run_as_group: int | None = None
    """The group's number, 0 or more."""
    run_as_non_root: bool | None = None
    """Whether Kubernetes refuses to start the container as root."""

    def __post_init__(self) -> None:
        for name in ("run_as_user", "run_as_group"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ConfigError(f"{name}={value}: need at least 0.")
        if self.run_as_non_root and self.run_as_user == 0:
            raise ConfigError("run_as_user=0 is root, which run_as_non_root forbids.")

    def manifest(self) -> dict[str, Any]:
        """Return it as a pod's manifest has it."""
        entry = {"runAsUser": self.run_as_user, "runAsGroup": self.run_as_group, "runAsNonRoot": self.run_as_non_root}
        return {name: value for name, value in entry.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """What the pod of a step gets."""

    cpu: str | None = None
    """Limit of processor cores, such as "4" or "500m"; also what is requested, unless `cpu_request` is given."""
    cpu_request: str | None = None
    """Processor cores that are kept for the step."""
    memory: str | None = None
    """Limit of memory, shared memory included, such as "16Gi"; also requested, unless `memory_request` is given."""
    memory_request: str | None = None
    """Memory that is kept for the step."""
    gpus: int | None = None
    """GPUs, 0 or more."""
    gpu_resource: str | None = None
    """What the cluster calls a GPU; absent: "nvidia.com/gpu"."""
    shared_memory: str | None = None
    """Size of /dev/shm, such as "8Gi"; absent: the container engine's default, mostly 64 MiB."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] | None = None
    """Taints that the pod tolerates."""
    node_affinity: tuple[NodeRule, ...] | None = None
    """Further demands and preferences on nodes. KFP 2.17 carries no affinity between pods."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the pod, such as a queue's name or a cost centre."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the pod."""
    timeout_seconds: int | None = None
    """Seconds after which Kubernetes ends the pod, at least 1."""
    retry: Retry | None = None
    """Retries; absent: those that the pipeline says."""
    security: Security | None = None
    """As whom the container runs."""
    caching: bool | None = None
    """False: the step always runs. True: as the pipeline says, even where `defaults` say false."""

    def __post_init__(self) -> None:
        for name in ("cpu", "cpu_request"):
            value = getattr(self, name)
            if value is not None and not _CPU.fullmatch(value):
                raise ConfigError(f"{name}={value!r}: need cores, such as '4', '0.5' or '500m'.")
        for name in ("memory", "memory_request", "shared_memory"):
            value = getattr(self, name)
            if value is not None and not _BYTES.fullmatch(value):
                raise ConfigError(f"{name}={value!r}: need a whole number and a unit, such as '512Mi' or '16Gi'.")
        for name, least in (("gpus", 0), ("timeout_seconds", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name}={value}: need at least {least}.")
        for name in ("node_selector", "labels"):
            for key, value in getattr(self, name).items():
                if not _LABEL.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
                    raise ConfigError(f"{name}: {key}={value!r} is no label that Kubernetes takes.")

    def over(self, below: "StepConfig") -> "StepConfig":
        """Return both in one: what this says comes first; mappings are merged, all else is taken whole."""
        changes: dict[str, Any] = {}
        for name in (each.name for each in fields(self)):
            mine, theirs = getattr(self, name), getattr(below, name)
            changes[name] = {**theirs, **mine} if isinstance(theirs, Mapping) else theirs if mine is None else mine
        return replace(self, **changes)

    def affinity(self) -> dict[str, Any]:
        """Return `node_affinity` as a pod's manifest has it."""
        rules = self.node_affinity or ()
        required = [rule.expression() for rule in rules if rule.weight is None]
        preferred = [
            {"weight": rule.weight, "preference": {"matchExpressions": [rule.expression()]}}
            for rule in rules
            if rule.weight is not None
        ]
        entry: dict[str, Any] = {}
        if required:
            terms = {"nodeSelectorTerms": [{"matchExpressions": required}]}
            entry["requiredDuringSchedulingIgnoredDuringExecution"] = terms
        if preferred:
            entry["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
        return {"nodeAffinity": entry} if entry else {}


def check_together(config: StepConfig, *, place: str) -> None:
    """Refuse settings that contradict each other once `defaults` and a step's own are put together.

    Raises:
        ConfigError: More is requested than is allowed, or /dev/shm leaves nothing of the memory.
    """
    for request, limit, amount in (
        ("cpu_request", "cpu", cores),
        ("memory_request", "memory", bytes_of),
    ):
        wanted, allowed = getattr(config, request), getattr(config, limit)
        if wanted and allowed and amount(wanted) > amount(allowed):
            raise ConfigError(f"{place}: {request}={wanted!r} is more than {limit}={allowed!r}: raise the limit.")
    if config.memory and config.shared_memory and bytes_of(config.shared_memory) >= bytes_of(config.memory):
        raise ConfigError(
            f"{place}: shared_memory={config.shared_memory!r} counts against memory={config.memory!r}, and leaves "
            "nothing to the step: raise memory."
        )


def bytes_of(quantity: str) -> int:
    """Return a quantity such as "16Gi" in bytes."""
    found = _BYTES.fullmatch(quantity)
    if found is None:
        raise ConfigError(f"{quantity!r}: need a whole number and a unit, such as '512Mi' or '16Gi'.")
    return int(found[1]) * _UNITS[found[2] or ""]


def cores(quantity: str) -> float:
    """Return a quantity such as "500m" in cores."""
    return int(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
