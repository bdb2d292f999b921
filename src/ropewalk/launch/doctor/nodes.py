"""Checks whether there are nodes with the GPUs that the profile asks for."""

from collections.abc import Mapping
from typing import Any

from ropewalk.cluster.connection import Cluster
from ropewalk.launch.doctor.needs import Gpus, Needs
from ropewalk.launch.doctor.reading import NotAllowedError, read
from ropewalk.launch.doctor.result import Result, failed, ok, skipped, unknown

_BLOCKS = {"NoSchedule", "NoExecute"}


def check_gpus(cluster: Cluster, needs: Needs) -> list[Result]:
    """Look for nodes that have enough GPUs, the labels that are asked for, and no taint that is not tolerated."""
    if not needs.gpus:
        return [skipped("GPUs", "The profile asks for none.")]
    try:
        nodes = (read(cluster, "/api/v1/nodes") or {}).get("items", [])
    except NotAllowedError:
        fix = "Have an administrator look: kubectl get nodes -o custom-columns=N:.metadata.name,A:.status.allocatable"
        return [unknown(f"GPUs of {gpus.pod}", "We may not read nodes.", fix=fix) for gpus in needs.gpus]
    return [_find(gpus, nodes) for gpus in needs.gpus]


def _find(gpus: Gpus, nodes: list[dict[str, Any]]) -> Result:
    check = f"GPUs of {gpus.pod}"
    having = [node for node in nodes if _amount(node, gpus.resource) >= gpus.count]
    if not having:
        most = max((_amount(node, gpus.resource) for node in nodes), default=0)
        found = f"No node has {gpus.count} {gpus.resource}; the most is {most}."
        fix = "Ask for fewer, name another gpu_resource, or have the device plugin and nodes installed. "
        return failed(check, found, fix=f"{fix}Where nodes come by autoscaling, this can be right.")
    labelled = [node for node in having if gpus.node_selector.items() <= _labels(node).items()]
    if not labelled:
        selector = ", ".join(f"{key}={value}" for key, value in gpus.node_selector.items())
        found = f"{len(having)} nodes have {gpus.count} {gpus.resource}, none of them the label {selector}."
        return failed(check, found, fix="Correct node_selector: kubectl get nodes --show-labels")
    tolerated = [node for node in labelled if not _untolerated(node, gpus)]
    if not tolerated:
        taints = sorted({taint["key"] for node in labelled for taint in _untolerated(node, gpus)})
        found = f"Every such node has a taint that is not tolerated: {', '.join(taints)}."
        return failed(
            check, found, fix=f"Add tolerations: [{{key: {taints[0]}, operator: Exists, effect: NoSchedule}}]"
        )
    return ok(check, f"{len(tolerated)} nodes have {gpus.count} {gpus.resource} or more.")


def _amount(node: Mapping[str, Any], resource: str) -> int:
    return int(node.get("status", {}).get("allocatable", {}).get(resource, 0))


def _labels(node: Mapping[str, Any]) -> dict[str, str]:
    return dict(node["metadata"].get("labels") or {})


def _untolerated(node: Mapping[str, Any], gpus: Gpus) -> list[dict[str, Any]]:
    taints = [taint for taint in node.get("spec", {}).get("taints") or [] if taint.get("effect") in _BLOCKS]
    return [taint for taint in taints if not any(_tolerates(one, taint) for one in gpus.tolerations)]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Return whether the taint is tolerated, as Kubernetes decides it (k8s.io/component-helpers, ToleratesTaint)."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    return toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", "")
