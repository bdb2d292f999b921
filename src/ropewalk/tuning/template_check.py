"""Checks of the trial's resource: those of Katib's webhook, and what it lets through."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ropewalk.errors import nearest
from ropewalk.tuning.containers import Container, primary_containers
from ropewalk.tuning.placeholders import names_in
from ropewalk.tuning.problems import Problem
from ropewalk.tuning.render import TRIAL_FACT, trial_fact
from ropewalk.tuning.spec import Experiment, TrialParameter, TrialTemplate
from ropewalk.tuning.wrapping import Quoting, placeholder_quoting, value_problem, wrapping_problems

WITH_CONDITIONS = ("Job", "TFJob", "PyTorchJob", "XGBoostJob", "MPIJob", "TrainJob")
"""Kinds of which Katib knows when they have succeeded or failed (experiment_defaults.go)."""

_FACTS = "${trialSpec.Name|Namespace|Kind|APIVersion|Labels[key]|Annotations[key]}"


def template_problems(experiment: Experiment) -> list[Problem]:
    """Return what is wrong with the trial's resource, its placeholders and its command."""
    template = experiment.trial
    return [
        *_manifest_problems(template),
        *_parameter_problems(experiment),
        *_placeholder_problems(template),
        *_container_problems(experiment),
    ]


def _manifest_problems(template: TrialTemplate) -> Iterator[Problem]:
    manifest = template.manifest
    if not manifest:
        yield Problem("trial.manifest", "there is none: give the trial's resource, such as a Job.")
        return
    for name in ("apiVersion", "kind"):
        if not manifest.get(name):
            yield Problem(f"trial.manifest.{name}", "it is missing.")
    metadata = manifest.get("metadata") or {}
    for name in ("name", "namespace"):
        if isinstance(metadata, Mapping) and metadata.get(name):
            text = f"{metadata[name]!r}: leave it out, each trial gets its own."
            yield Problem(f"trial.manifest.metadata.{name}", text)
    if manifest.get("kind") not in WITH_CONDITIONS:
        for name in ("success_condition", "failure_condition"):
            if not getattr(template, name):
                text = f"a {manifest.get('kind')} needs it: when a trial has ended is known of {_listed()} only."
                yield Problem(f"trial.{name}", text)
    if manifest.get("kind") == "Job" and "spec" in manifest:
        yield from _job_problems(manifest)


def _job_problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    if manifest.get("apiVersion") != "batch/v1":
        text = f"{manifest.get('apiVersion')!r}: a Job is of batch/v1."
        yield Problem("trial.manifest.apiVersion", text)
    spec = manifest["spec"]
    pod = ((spec.get("template") or {}).get("spec") or {}) if isinstance(spec, Mapping) else {}
    if isinstance(pod, Mapping) and pod.get("restartPolicy") not in ("Never", "OnFailure"):
        text = f"{pod.get('restartPolicy')!r}: a Job needs Never (a restart would mix the metrics of two attempts)."
        yield Problem("trial.manifest.spec.template.spec.restartPolicy", text)


def _listed() -> str:
    return ", ".join(WITH_CONDITIONS)


def _parameter_problems(experiment: Experiment) -> Iterator[Problem]:
    template = experiment.trial
    space = [parameter.name for parameter in experiment.parameters]
    for field in ("name", "reference"):
        for value, times in Counter(getattr(each, field) for each in template.parameters).items():
            if times > 1:
                yield Problem("trial.parameters", f"the {field} {value!r} stands {times} times.")
    for place, each in enumerate(template.parameters):
        yield from _one_parameter_problems(f"trial.parameters[{place}]", each, template.manifest, space)
    referred = {each.reference for each in template.parameters}
    for place, name in enumerate(space):
        if name not in referred:
            yield Problem(
                f"parameters[{place}].name", f"no trial parameter refers to {name!r}: trials would not get it."
            )


def _one_parameter_problems(
    path: str, parameter: TrialParameter, manifest: Mapping[str, Any], space: Sequence[str]
) -> Iterator[Problem]:
    name, reference = parameter.name, parameter.reference
    if not name or re.search(r"[{}]", name):
        yield Problem(f"{path}.name", f"{name!r}: need a name without braces.")
    elif name not in names_in(manifest):
        yield Problem(f"{path}.name", f"${{trialParameters.{name}}} stands nowhere in the trial's resource.")
    if TRIAL_FACT.fullmatch(reference):
        if trial_fact(reference, manifest, name="-", namespace="-") is None:
            yield Problem(f"{path}.reference", f"{reference}: the trial's resource has no such key.")
    elif reference not in space:
        known = ", ".join([*space, _FACTS])
        yield Problem(f"{path}.reference", f"{reference!r} is no parameter.{nearest(reference, space)} Known: {known}.")


def _placeholder_problems(template: TrialTemplate) -> Iterator[Problem]:
    known = [each.name for each in template.parameters]
    for name in names_in(template.manifest):
        if name not in known:
            text = f"${{trialParameters.{name}}} has no entry in the trial's parameters.{nearest(name, known)}"
            yield Problem("trial.manifest", text)


def _container_problems(experiment: Experiment) -> Iterator[Problem]:
    template = experiment.trial
    if not template.primary_container:
        yield Problem("trial.primary_container", "it is empty: name the container whose metrics count.")
        return
    if not template.manifest:
        return
    containers = primary_containers(template)
    if not containers:
        text = f"the trial's resource has no container {template.primary_container!r}."
        yield Problem("trial.primary_container", text)
    stops_early = experiment.early_stopping is not None
    for each in containers:
        yield from wrapping_problems(each, f"trial.manifest.{each.path}", stops_early=stops_early)
    yield from _value_problems(experiment, containers)


def _value_problems(experiment: Experiment, containers: list[Container]) -> Iterator[Problem]:
    places: dict[str, list[Quoting]] = {}
    for container in containers:
        for name, quoting in placeholder_quoting(container.line):
            places.setdefault(name, []).append(quoting)
    reference = {each.reference: each.name for each in experiment.trial.parameters}
    for place, parameter in enumerate(experiment.parameters):
        for number, value in enumerate(parameter.values):
            if wrong := value_problem(value, places.get(reference.get(parameter.name, ""), [])):
                yield Problem(f"parameters[{place}].values[{number}]", wrong)
