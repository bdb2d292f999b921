"""Puts what is set on a pipeline step onto the pods of the job that the step starts."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from ropewalk.errors import ConfigError

TRAINJOB_CONTAINER = "node"
"""Name of a TrainJob's replicated job and of its container that trains (the runtimes of Kubeflow Trainer)."""
MANAGER = "ropewalk.dev/launcher"
KINDS = ("Job", "PyTorchJob", "TrainJob")
"""Kinds whose pods we know how to find in the manifest."""


def with_step(manifest: Mapping[str, Any], step: Mapping[str, Any], *, container: str = "") -> dict[str, Any]:
    """Return the manifest of a Job, PyTorchJob or TrainJob with the step's settings; they come before its own.

    Args:
        manifest: It is left as it is.
        step: Fields of `dsl.TaskConfig`, fragments of a pod's manifest: resources, env, volumes, volume_mounts,
            node_selector, tolerations, affinity. What is absent or empty changes nothing.
        container: The container that gets resources, env and mounts; "" is the first of each pod.

    Raises:
        ConfigError: Something is set, but the manifest is of another kind.
    """
    made = copy.deepcopy(dict(manifest))
    step = copy.deepcopy({name: value for name, value in step.items() if value})
    if not step:
        return made
    if made.get("kind") not in KINDS:
        raise ConfigError(
            f"The step sets {', '.join(sorted(step))}, but where that goes in a {made.get('kind')} is not known: "
            f"set it in the trial's template, or use one of {', '.join(KINDS)}."
        )
    for template in pod_templates(made):
        pod = template.setdefault("spec", {})
        _set_pod(pod, step)
        mounts = step.get("volume_mounts")
        if mounts:
            holder = _container(pod, container or (TRAINJOB_CONTAINER if made["kind"] == "TrainJob" else ""))
            holder["volumeMounts"] = _by_key("mountPath", mounts, holder.get("volumeMounts", []))
        if made["kind"] != "TrainJob":
            _set_work(_container(pod, container), "resources", step)
    # Fewer processes than GPUs would leave some idle, more would share one.
    devices = gpus(step.get("resources", {}))
    if made["kind"] == "TrainJob":
        trainer = made["spec"].setdefault("trainer", {})
        _set_work(trainer, "resourcesPerNode", step)
        trainer |= {"numProcPerNode": devices} if devices else {}
    elif made["kind"] == "PyTorchJob" and devices:
        made["spec"]["nprocPerNode"] = str(devices)
    return made


def pod_templates(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pod templates inside a manifest of one of KINDS, to be changed there; a TrainJob's is a patch."""
    spec = manifest.setdefault("spec", {})
    if manifest["kind"] == "Job":
        yield spec.setdefault("template", {})
    elif manifest["kind"] == "PyTorchJob":
        for replica in spec.get("pytorchReplicaSpecs", {}).values():
            yield replica.setdefault("template", {})
    elif manifest["kind"] == "TrainJob":
        patches = spec.setdefault("runtimePatches", [])
        patch = next((each for each in patches if each.get("manager") == MANAGER), None)
        if patch is None:
            patch = runtime_patch({})
            patches.append(patch)
        (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
        yield job["template"]["spec"]["template"]


def runtime_patch(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a TrainJob's `runtimePatches` (Kubeflow Trainer 2.2) that patches its pods' template."""
    job = {"name": TRAINJOB_CONTAINER, "template": {"spec": {"template": dict(template)}}}
    return {"manager": MANAGER, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}}}


def gpus(resources: Mapping[str, Any], gpu_resource: str = "") -> int:
    """Return the GPUs among the limits: whole devices of any vendor, and what is called `gpu_resource`."""
    limits = resources.get("limits", {})
    return sum(int(amount) for name, amount in limits.items() if name == gpu_resource or name.endswith("/gpu"))


def _set_pod(pod: dict[str, Any], step: Mapping[str, Any]) -> None:
    if step.get("volumes"):
        pod["volumes"] = _by_key("name", step["volumes"], pod.get("volumes", []))
    if step.get("node_selector"):
        pod["nodeSelector"] = {**pod.get("nodeSelector", {}), **step["node_selector"]}
    if step.get("tolerations"):
        pod["tolerations"] = [*step["tolerations"], *pod.get("tolerations", [])]
    if step.get("affinity"):
        pod["affinity"] = step["affinity"]


def _set_work(holder: dict[str, Any], resources: str, step: Mapping[str, Any]) -> None:
    """Set resources (in the field of that name) and env of a container, or of a TrainJob's trainer."""
    if step.get("resources"):
        holder[resources] = _merged_resources(holder.get(resources, {}), step["resources"])
    if step.get("env"):
        own = {entry["name"]: entry for entry in holder.get("env", [])}
        holder["env"] = list({**own, **{entry["name"]: entry for entry in step["env"]}}.values())


def _merged_resources(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    texts = {
        kind: {name: str(amount) for name, amount in (given.get(kind) or {}).items()} for kind in ("limits", "requests")
    }
    merged = {kind: {**own.get(kind, {}), **amounts} for kind, amounts in texts.items()}
    # A limit that only the step sets is its request, too: the job's own lower or higher one must not contradict it.
    merged["requests"] |= {name: amount for name, amount in texts["limits"].items() if name not in texts["requests"]}
    return {kind: amounts for kind, amounts in merged.items() if amounts}


def _container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the container of that name, or the first; one that a patch does not have yet is added to it."""
    containers: list[dict[str, Any]] = pod.setdefault("containers", [])
    found = next((each for each in containers if not name or each.get("name") == name), None)
    if found is None:
        found = {"name": name}
        containers.append(found)
    return found


def _by_key(key: str, first: list[dict[str, Any]], then: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken = {each[key] for each in first}
    return [*first, *(each for each in then if each[key] not in taken)]
