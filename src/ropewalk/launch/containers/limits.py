"""What the compiled YAML gives the container of each step: limits, variables, Secrets and volumes."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml
from pydantic import ByteSize, TypeAdapter

from ropewalk.errors import ConfigError

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where Linux has it
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MEMORY = "Memory"
_NOT_HERE = {
    "secretAsVolume": "Secrets mounted as files",
    "configMapAsEnv": "ConfigMaps",
    "configMapAsVolume": "ConfigMaps",
    "genericEphemeralVolume": "ephemeral volumes of a storage class",
}


@dataclass(frozen=True, kw_only=True)
class Volume:
    """An emptyDir: a folder that a step has for itself."""

    path: str
    """Where it is mounted."""
    in_memory: bool
    """Whether it is kept in memory, and counts as such."""
    bytes: int | None
    """Its size; None when nothing limits it."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one step's container gets."""

    image: str
    processors: float | None = None
    """Most processors; None: all."""
    memory: int | None = None
    """Most bytes of memory; None: all."""
    gpus: int = 0
    folders: tuple[Volume, ...] = ()
    """Its own folders, /dev/shm among them."""
    claims: dict[str, str] = field(default_factory=dict)
    """PersistentVolumeClaims: path to the claim's name."""
    secrets: dict[str, bool] = field(default_factory=dict)
    """Variables that are filled from a Secret: name to whether it may be missing."""


def read_limits(text: str) -> dict[str, Limits]:
    """Return the limits of each step of the compiled YAML `text`, by the step's name.

    Raises:
        ConfigError: Names everything that a container on this machine cannot be given.
    """
    specification, *platforms = yaml.load_all(text, Loader=_LOADER)
    executors = specification["deploymentSpec"].get("executors", {})
    on_kubernetes: dict[str, Any] = {}
    for platform in platforms:
        kubernetes = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
        on_kubernetes |= kubernetes.get("executors", {})
    problems: list[str] = []
    limits = {}
    for name, component in specification.get("components", {}).items():
        label = component.get("executorLabel")
        container = executors.get(label, {}).get("container")
        if container is None:
            continue
        step = name.removeprefix("comp-")
        try:
            limits[step] = _limits(container, on_kubernetes.get(label, {}))
        except ConfigError as error:
            problems.append(f"{step}: {error}")
    if problems:
        raise ConfigError(
            "These steps cannot run in containers here; nothing was started:\n  - " + "\n  - ".join(problems)
        )
    return limits


def _limits(container: dict[str, Any], kubernetes: dict[str, Any]) -> Limits:
    if "--executor_input" not in container.get("args", []):
        raise ConfigError("only Python components run on this machine, and this is a container component.")
    for setting, what in _NOT_HERE.items():
        if kubernetes.get(setting):
            raise ConfigError(f"{what} exist on a cluster only. Compile with a profile without them to run it here.")
    resources = container.get("resources", {})
    for setting, value in resources.items():
        if "{{$" in str(value):
            raise ConfigError(
                f"{setting} is set by a parameter of the pipeline, which is not followed here. Compile it with a value."
            )
    accelerator = resources.get("accelerator", {})
    memory = resources.get("memoryLimit")
    return Limits(
        image=container["image"],
        processors=float(resources["cpuLimit"]) if resources.get("cpuLimit") else None,
        # The compiler writes gigabytes of 1000**3 bytes.
        memory=round(float(memory) * 1000**3) if memory else None,
        gpus=int(accelerator.get("count") or accelerator.get("resourceCount") or 0),
        folders=tuple(_folder(entry) for entry in kubernetes.get("emptyDirMounts", [])),
        claims={entry["mountPath"]: _named(entry, "pvcNameParameter") for entry in kubernetes.get("pvcMount", [])},
        secrets={
            key["envVar"]: bool(entry.get("optional"))
            for entry in kubernetes.get("secretAsEnv", [])
            for key in entry["keyToEnv"]
        },
    )


def _folder(entry: dict[str, Any]) -> Volume:
    path = str(PurePosixPath(entry["mountPath"]))
    in_memory = entry.get("medium") == _MEMORY or path == SHARED_MEMORY
    size = entry.get("sizeLimit")
    # Kubernetes writes 8Gi for what is 8GiB elsewhere.
    return Volume(
        path=path,
        in_memory=in_memory,
        bytes=int(TypeAdapter(ByteSize).validate_python(f"{size}B")) if size else None,
    )


def _named(entry: dict[str, Any], parameter: str) -> str:
    name = entry.get(parameter, {}).get("runtimeValue", {}).get("constant") or entry.get("constant")
    if not name:
        raise ConfigError("the name of its PersistentVolumeClaim is set by a parameter, which cannot be followed here.")
    return str(name)
