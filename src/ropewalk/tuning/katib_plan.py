"""An experiment as the request that is sent to the cluster, made safe; nothing is asked of the cluster yet."""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ropewalk.cluster.pod_config import NO_SIDECAR
from ropewalk.cluster.resource import Plan, plan_manifest
from ropewalk.cluster.step_settings import KINDS, pod_templates
from ropewalk.tuning.katib_config import NO_LOGS, KatibConfig
from ropewalk.tuning.katib_export import export_experiment
from ropewalk.tuning.katib_resources import EXPERIMENT, EXPERIMENT_LABEL
from ropewalk.tuning.spec import Experiment

_HASHED = re.compile(r".*-[0-9a-f]{8,}")
_WITH_DEADLINE = KINDS
_STOPPED_BY_POD = ("Job", "TrainJob")


def plan_experiment(experiment: Experiment, config: KatibConfig) -> Plan:
    """Return the request for an experiment, its trials made safe against what Katib's defaults would do to them.

    A trial is one attempt, without Istio's sidecar, its pods findable by label, in the config's service account where
    it names none.

    Raises:
        ConfigError: Names everything that is wrong, or that Katib would do otherwise than it says.
    """
    trial = replace(
        experiment.trial,
        manifest=safe_manifest(experiment.trial.manifest, experiment.name, config),
        # Katib deletes a trial's pods the moment it ends, and their logs with them.
        retain=experiment.trial.retain or config.retain != NO_LOGS,
    )
    labels = {**config.labels, **experiment.labels}
    body = export_experiment(replace(experiment, trial=trial, labels=labels))
    return plan_manifest(EXPERIMENT, body, identity=experiment.name)


def plan_notes(experiment: Experiment, namespace: str) -> tuple[str, ...]:
    """Return what is done otherwise in `namespace` than the experiment says, or than one would expect."""
    notes, kind = [], str(experiment.trial.manifest.get("kind"))
    if experiment.namespace not in ("", namespace):
        notes.append(f"It runs in namespace {namespace}, as the settings say, not in {experiment.namespace}.")
    if not _HASHED.fullmatch(experiment.name):
        notes.append(
            f"The name {experiment.name} holds no hash: Katib mixes up the trials of experiments of the same name in "
            "other namespaces when it suggests parameters."
        )
    if experiment.limits.trial_seconds is not None and kind not in _WITH_DEADLINE:
        notes.append(f"trial_seconds is not kept: a {kind} has no field for it that is known.")
    if experiment.limits.stall_seconds is not None and kind not in _STOPPED_BY_POD:
        notes.append(f"stall_seconds is not kept: a {kind} starts a pod again that is deleted.")
    return tuple(notes)


def safe_manifest(manifest: Mapping[str, Any], experiment: str, config: KatibConfig) -> dict[str, Any]:
    """Return a trial's resource with defaults for what it leaves open; what it says stays."""
    made = copy.deepcopy(dict(manifest))
    if made.get("kind") not in KINDS:
        return made
    if made["kind"] == "Job":
        # Kubernetes' own default, 6, runs a failed pod again and mixes the metrics of all attempts.
        made.setdefault("spec", {}).setdefault("backoffLimit", 0)
    for template in pod_templates(made):
        metadata = template.setdefault("metadata", {})
        # Katib's webhook sets the label, too, but not where it is not called, which is then to be found out.
        defaults = {**config.labels, **NO_SIDECAR, EXPERIMENT_LABEL: experiment}
        metadata["labels"] = {**defaults, **(metadata.get("labels") or {})}
        metadata["annotations"] = {**NO_SIDECAR, **(metadata.get("annotations") or {})}
        spec = template.setdefault("spec", {})
        if config.service_account:
            spec.setdefault("serviceAccountName", config.service_account)
        if config.image_pull_secrets:
            spec.setdefault("imagePullSecrets", [{"name": name} for name in config.image_pull_secrets])
        if not spec:
            del template["spec"]
    return made
