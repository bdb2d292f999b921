"""Fields and types of Katib's Experiment, by its official models; they drop unknown fields, which we name."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from ropewalk.errors import nearest
from ropewalk.tuning.problems import Problem

_OUT_OF_SCOPE = {
    "nasConfig": "architecture search is not supported: give parameters.",
    "configMap": "a template in a ConfigMap cannot be checked before the start: give trialSpec.",
}
_COLLECTORS = ("StdOut", "File")


def structure_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with names and types of the fields, and which of Katib's features we do not have."""
    from kubeflow_katib_api import models
    from pydantic import ValidationError

    problems = [*_head_problems(values), *_unknown(models.V1beta1Experiment, values, "")]
    try:
        models.V1beta1Experiment.model_validate(values)
    except ValidationError as error:
        problems += [
            Problem(_path(detail["loc"]), f"{detail['input']!r}: {detail['msg']}.")
            for detail in error.errors(include_url=False)
        ]
    spec = values.get("spec")
    if isinstance(spec, Mapping):
        problems += [*_spec_problems(spec), *_job_problems(spec.get("trialTemplate"))]
    return list({problem.path: problem for problem in reversed(problems)}.values())[::-1]


def _head_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    for name, need in (("apiVersion", "kubeflow.org/v1beta1"), ("kind", "Experiment")):
        if values.get(name) != need:
            yield Problem(name, f"{values.get(name)!r}: need {need!r}.")
    for name in ("metadata", "spec"):
        if not isinstance(values.get(name), Mapping):
            yield Problem(name, "it is missing.")


def _spec_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    if spec.get("maxTrialCount") is None:
        yield Problem("spec.maxTrialCount", "it is missing: Katib would go on for ever.")
    if spec.get("nasConfig") is not None:
        yield Problem("spec.nasConfig", _OUT_OF_SCOPE["nasConfig"])
    template = spec.get("trialTemplate")
    if isinstance(template, Mapping) and template.get("configMap") is not None:
        yield Problem("spec.trialTemplate.configMap", _OUT_OF_SCOPE["configMap"])
    metrics = spec.get("metricsCollectorSpec")
    if isinstance(metrics, Mapping):
        yield from _collector_problems(metrics)


def _collector_problems(metrics: Mapping[str, Any]) -> Iterator[Problem]:
    path = "spec.metricsCollectorSpec"
    collector, source = metrics.get("collector"), metrics.get("source")
    kind = (collector.get("kind") if isinstance(collector, Mapping) else None) or "StdOut"
    if kind not in _COLLECTORS:
        text = f"{kind!r} is not supported: use StdOut, or File."
        yield Problem(f"{path}.collector.kind", text)
    file = source.get("fileSystemPath") if isinstance(source, Mapping) else None
    if not isinstance(file, Mapping):
        return
    if kind == "StdOut":
        yield Problem(f"{path}.source.fileSystemPath", "StdOut takes none: use collector kind File.")
    elif file.get("kind") != "File":
        yield Problem(f"{path}.source.fileSystemPath.kind", f"{file.get('kind')!r}: need 'File'.")


def _unknown(model: Any, values: Any, path: str) -> Iterator[Problem]:
    """Yield the fields of `values` that `model`, a pydantic class, does not have."""
    if not isinstance(values, Mapping):
        return
    known = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    for name, value in values.items():
        inner = f"{path}.{name}" if path else str(name)
        if name not in known:
            yield Problem(inner, f"there is no such field, Katib would drop it.{nearest(str(name), known)}")
            continue
        nested = _model_in(known[name])
        if nested is None:
            continue
        items = enumerate(value) if isinstance(value, list) else None
        for place, each in items or [(None, value)]:
            yield from _unknown(nested, each, inner if place is None else f"{inner}[{place}]")


def _model_in(annotation: Any) -> Any:
    """Return the pydantic class inside Optional[List[...]], or None."""
    if hasattr(annotation, "model_fields"):
        return annotation
    found = (_model_in(each) for each in get_args(annotation))
    return next((each for each in found if each is not None), None)


def _job_problems(template: Any) -> Iterator[Problem]:
    manifest = template.get("trialSpec") if isinstance(template, Mapping) else None
    if not isinstance(manifest, Mapping) or manifest.get("kind") != "Job":
        return
    from kubernetes.client import models

    yield from _unknown_in_kubernetes(models, "V1Job", manifest, "spec.trialTemplate.trialSpec")


def _unknown_in_kubernetes(models: Any, name: str, values: Any, path: str) -> Iterator[Problem]:
    """Yield the fields that the class `name` of the Kubernetes client does not have; quantities are exempt."""
    if not isinstance(values, Mapping):
        return
    cls = getattr(models, name)
    types = {alias: cls.openapi_types[field] for field, alias in cls.attribute_map.items()}
    for key, value in values.items():
        inner = f"{path}.{key}"
        if key not in types:
            yield Problem(inner, f"a {name[2:]} has no such field.{nearest(str(key), types)}")
            continue
        nested = types[key].removeprefix("list[").removesuffix("]")
        if key == "resources" or not hasattr(models, nested):
            continue
        if types[key].startswith("list["):
            for place, each in enumerate(value if isinstance(value, list) else []):
                yield from _unknown_in_kubernetes(models, nested, each, f"{inner}[{place}]")
        else:
            yield from _unknown_in_kubernetes(models, nested, value, inner)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part[:1].isupper() and part not in ("str", "int", "float"):
            path += f".{part}" if path else part
    return path
