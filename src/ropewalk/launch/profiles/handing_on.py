"""Which settings of a step KFP hands on to the job that it launches, instead of setting them on the step's own pod.

A component says so by `task_config_passthroughs` (KFP 2.15 and newer; in the driver, getTaskConfigOptions). That is
decided when it compiles, and not by what is launched where: so a profile has to decide anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ropewalk.launch.profiles.launched import TUNING_STEP
from ropewalk.launch.profiles.step_config import StepConfig

RESOURCES, AFFINITY = "RESOURCES", "KUBERNETES_AFFINITY"
SELECTOR, TOLERATIONS = "KUBERNETES_NODE_SELECTOR", "KUBERNETES_TOLERATIONS"
VOLUMES = "KUBERNETES_VOLUMES"
_POD_FIELDS = {AFFINITY: "nodeAffinity", SELECTOR: "nodeSelector", TOLERATIONS: "tolerations"}
_VOLUME_FIELDS = ("pvcMount", "emptyDirMounts", "secretAsVolume", "configMapAsVolume", "genericEphemeralVolume")


def keep_handed_on(
    step: str, component: dict[str, Any], container: Mapping[str, Any], pod: Mapping[str, Any]
) -> set[str]:
    """Return the fields that the job gets instead of the step's pod: all that the component hands on.

    tune_model's trials get theirs from the profile's `tune` section, and without Katib they run in the step's own pod.
    So there only what the pipeline itself has set is handed on; the rest is taken from the component's list.

    Args:
        step: Its name.
        component: Its component in the YAML; is changed.
        container: Its container, as compiled.
        pod: Its Kubernetes settings, as compiled.
    """
    given = component.get("taskConfigPassthroughs", [])
    handed = {entry["field"] for entry in given if not entry.get("applyToTask")} & {RESOURCES, *_POD_FIELDS}
    if step != TUNING_STEP or not handed:
        return handed
    own = {
        field for field in handed if (container.get("resources") if field == RESOURCES else pod.get(_POD_FIELDS[field]))
    }
    taken = handed - own
    if not any(pod.get(name) for name in _VOLUME_FIELDS):
        # Trials have /dev/shm and claims of their own: those of the step's pod would come before them.
        taken.add(VOLUMES)
    component["taskConfigPassthroughs"] = [entry for entry in given if entry["field"] not in taken]
    return own


def without_handed_on(defaults: StepConfig, handed: Collection[str]) -> StepConfig:
    """Return `defaults` without what is handed on: they describe steps, and a job has its own settings."""
    if RESOURCES in handed:
        defaults = replace(defaults, cpu=None, cpu_request=None, memory=None, memory_request=None, gpus=None)
    if AFFINITY in handed:
        defaults = replace(defaults, node_affinity=None)
    if SELECTOR in handed:
        defaults = replace(defaults, node_selector={})
    return replace(defaults, tolerations=None) if TOLERATIONS in handed else defaults
