"""Makes one trial of the template: placeholders replaced as Katib does (pkg/controller.v1beta1/experiment/manifest)."""

import re
from collections.abc import Mapping
from typing import Any

from ropewalk.tuning.placeholders import fill
from ropewalk.tuning.spec import Experiment, Parameter, Value

TRIAL_FACT = re.compile(r"\$\{trialSpec\.(Name|Namespace|Kind|APIVersion|(?:Labels|Annotations)\[[^]]+\])\}")


def render_trial(
    experiment: Experiment, *, name: str, values: Mapping[str, Value], namespace: str = ""
) -> dict[str, Any]:
    """Return the resource of the trial `name` that has these parameter values.

    Args:
        experiment: A checked experiment.
        name: The trial's name, which becomes the resource's.
        values: A value of every parameter of the search space.
        namespace: The resource's namespace; "" for the experiment's.
    """
    namespace = namespace or experiment.namespace
    filled: dict[str, Any] = fill(
        experiment.trial.manifest, trial_parameters(experiment, name=name, values=values, namespace=namespace)
    )
    metadata = {**(filled.get("metadata") or {}), "name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {**filled, "metadata": metadata}


def trial_parameters(
    experiment: Experiment, *, name: str, values: Mapping[str, Value], namespace: str = ""
) -> dict[str, str]:
    """Return what replaces each placeholder in that trial."""
    manifest = experiment.trial.manifest
    texts = {key: value_text(value) for key, value in values.items()}
    found = {}
    for each in experiment.trial.parameters:
        fact = trial_fact(each.reference, manifest, name=name, namespace=namespace or experiment.namespace)
        found[each.name] = texts[each.reference] if fact is None else fact
    return found


def trial_fact(reference: str, manifest: Mapping[str, Any], *, name: str, namespace: str) -> str | None:
    """Return what a reference such as ${trialSpec.Name} stands for, or None when it is none or has no value."""
    match = TRIAL_FACT.fullmatch(reference)
    if match is None:
        return None
    word, _, key = match[1].partition("[")
    if key:
        metadata = manifest.get("metadata") or {}
        value = (metadata.get(word.lower()) or {}).get(key[:-1])
        return None if value is None else str(value)
    return {
        "Name": name,
        "Namespace": namespace,
        "Kind": str(manifest.get("kind")),
        "APIVersion": str(manifest.get("apiVersion")),
    }[word]


def value_text(value: Value) -> str:
    """Return a parameter's value as the trial's command gets it; a float so that it reads back the same."""
    return repr(value) if isinstance(value, float) else str(value)


def typed_value(parameter: Parameter, text: str) -> Value:
    """Return a value of `parameter` from text: Katib knows texts only."""
    if parameter.type == "int":
        return int(float(text))
    if parameter.type == "double":
        return float(text)
    if parameter.type == "discrete":
        return read_number(text)
    return text


def read_number(text: str) -> int | float:
    """Return a number from text, an int where it is written as one."""
    try:
        return int(text)
    except ValueError:
        return float(text)
