"""Trials that are distributed jobs, on one machine: how many processes they have, and their command under torchrun."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.errors import ConfigError
from ropewalk.tuning.containers import primary_containers
from ropewalk.tuning.spec import TrialTemplate
from ropewalk.tuning.wrapping import blank_quoted

DISTRIBUTED = ("TrainJob", "PyTorchJob")
"""Kinds whose operators start one process per node or GPU, which find each other."""

_LAUNCHER = re.compile(r"(^|[\s/])torchrun\b|\btorch\.distributed\.(run|launch)\b")
_NODES = re.compile(r"--nnodes[=\s]+(\d+)(?::(\d+))?")
_PYTHON = re.compile(
    r"(?:^|&&|\|\||;)\s*(?:[A-Za-z_]\w*=\S*\s+)*((?:[^\s;&|]*/)?python[\d.]*)(?:\s+-u)*\s+(?!-(?!m\s))"
)
"""A command of Python's with a script or -m, and no options but -u, which torchrun itself gives."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """How many processes a trial has in the cluster."""

    nodes: int
    """Pods."""
    per_node: int
    """Processes of each."""
    gpus: int
    """GPUs of each pod."""

    @property
    def count(self) -> int:
        """All processes of the trial."""
        return self.nodes * self.per_node


def processes_of(template: TrialTemplate) -> Processes:
    """Return how many processes and GPUs the trial's resource asks for; one process where it says nothing."""
    manifest = template.manifest
    spec = _object(manifest, "spec")
    if manifest.get("kind") == "TrainJob":
        trainer = _object(spec, "trainer")
        gpus = _gpus(_object(trainer, "resourcesPerNode"))
        per_node = _whole(trainer.get("numProcPerNode")) or max(1, gpus)
        return Processes(nodes=_whole(trainer.get("numNodes")) or 1, per_node=per_node, gpus=gpus)
    gpus = max([_gpus(_object(each.spec, "resources")) for each in primary_containers(template)], default=0)
    if manifest.get("kind") != "PyTorchJob":
        return Processes(nodes=1, per_node=1, gpus=gpus)
    replicas = _object(spec, "pytorchReplicaSpecs").values()
    nodes = sum(_whole(each.get("replicas")) or 1 for each in replicas if isinstance(each, Mapping))
    return Processes(nodes=max(1, nodes), per_node=_whole(spec.get("nprocPerNode")) or max(1, gpus), gpus=gpus)


def under_torchrun(line: str, processes: int) -> str | None:
    """Return a line of shell with its Python command under torchrun, or None when it has none or several.

    A line that calls torchrun keeps it; the number of processes reaches it as PET_NPROC_PER_NODE.

    Raises:
        ConfigError: It calls torchrun for several nodes, which would wait for each other for ever.
    """
    bare = blank_quoted(line)
    if _LAUNCHER.search(bare):
        nodes = _NODES.search(bare)
        if nodes is not None and int(nodes[2] or nodes[1]) > 1:
            raise ConfigError(
                f"The trial's command has {nodes[0]!r}, but this machine is one node: leave it out (in the cluster the "
                "number comes from the job), or give a local command."
            )
        return line
    found = list(_PYTHON.finditer(bare))
    if len(found) != 1:
        return None
    (python,) = found
    options = f"--standalone --nproc-per-node={processes} "
    # A Python with a path is asked for itself: torchrun would run its own.
    launcher = f"{python[1]} -m torch.distributed.run" if "/" in python[1] else "torchrun"
    return f"{line[: python.start(1)]}{launcher} {options}{line[python.end() :]}"


def _gpus(resources: Mapping[str, Any]) -> int:
    return max(_gpu_counts(_object(resources, "limits")), default=0) or max(
        _gpu_counts(_object(resources, "requests")), default=0
    )


def _gpu_counts(amounts: Mapping[str, Any]) -> Iterator[int]:
    for name, amount in amounts.items():
        if str(name).endswith("/gpu") or "nvidia.com/mig-" in str(name):
            yield _whole(amount) or 0


def _whole(value: Any) -> int | None:
    """Return a count from 1; None for what is none, such as the "auto" of processes per node."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}
