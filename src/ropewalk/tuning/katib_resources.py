"""Katib's custom resources, and the names that it gives things (pkg/controller.v1beta1/consts)."""

from collections.abc import Mapping
from typing import Any

from ropewalk.cluster.resource import FAILED, RUNNING, SUCCEEDED, WAITING, ResourceType, State
from ropewalk.tuning.katib_import import API_VERSION, KIND

GROUP, _, VERSION = API_VERSION.partition("/")
EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"
"""On trials and, by Katib's webhook, on their pods."""
COLLECTOR = "metrics-logger-and-collector"
"""The container that Katib's webhook adds to the pod whose metrics count."""
END = "ropewalk.dev/end"
"""Annotation of an experiment that we ended: why."""


def holding(resource: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the conditions that hold of an Experiment, Trial or Suggestion, by type."""
    conditions = resource.get("status", {}).get("conditions") or []
    return {each["type"]: each for each in conditions if each.get("status") == "True"}


def read_state(resource: Mapping[str, Any]) -> State:
    """Return the state of an Experiment, Trial or Suggestion as the API server returns it."""
    found = holding(resource)
    for condition, phase in (("Failed", FAILED), ("Succeeded", SUCCEEDED), ("Running", RUNNING)):
        if condition in found:
            entry = found[condition]
            return State(phase=phase, reason=entry.get("reason", ""), message=entry.get("message", ""))
    return State(phase=WAITING)


def _type(kind: str) -> ResourceType:
    return ResourceType(
        group=GROUP,
        version=VERSION,
        plural=f"{kind.lower()}s",
        kind=kind,
        product="Katib",
        guide="docs/cluster-tuning.md",
        read_state=read_state,
    )


EXPERIMENT, TRIAL, SUGGESTION = _type(KIND), _type("Trial"), _type("Suggestion")
