"""Katib's Experiment (kubeflow.org/v1beta1) into ours, refusing what Katib would silently drop."""

import re
from collections.abc import Mapping
from typing import Any

from ropewalk.tuning.check import find_problems
from ropewalk.tuning.katib_fields import structure_problems
from ropewalk.tuning.lenient import read_dataclass
from ropewalk.tuning.problems import Problem, refuse, without_repeats
from ropewalk.tuning.render import read_number
from ropewalk.tuning.spec import Experiment

API_VERSION = "kubeflow.org/v1beta1"
KIND = "Experiment"
DEFAULT_PARALLEL = 3
DEFAULT_METRICS_FILE = "/var/log/katib/metrics.log"
"""Katib's defaults (pkg/apis/controller/experiments/v1beta1/constants.go)."""

_PATHS = (
    (r"parameters\[(\d+)\]\.(min|max|step|distribution)", r"spec.parameters[\1].feasibleSpace.\2"),
    (r"parameters\[(\d+)\]\.values", r"spec.parameters[\1].feasibleSpace.list"),
    (r"parameters\[(\d+)\]\.type", r"spec.parameters[\1].parameterType"),
    (r"parameters", "spec.parameters"),
    (r"objective\.metric(?=$)", "spec.objective.objectiveMetricName"),
    (r"objective\.additional", "spec.objective.additionalMetricNames"),
    (r"objective\.strategies", "spec.objective.metricStrategies"),
    (r"objective", "spec.objective"),
    (r"(algorithm|early_stopping)\.name", r"spec.\1.algorithmName"),
    (r"(algorithm|early_stopping)\.settings", r"spec.\1.algorithmSettings"),
    (r"algorithm", "spec.algorithm"),
    (r"early_stopping", "spec.earlyStopping"),
    (r"limits\.parallel", "spec.parallelTrialCount"),
    (r"limits\.max_trials", "spec.maxTrialCount"),
    (r"limits\.max_failed", "spec.maxFailedTrialCount"),
    (r"metrics\.filters", "spec.metricsCollectorSpec.source.filter.metricsFormat"),
    (r"metrics\.(path|format)", r"spec.metricsCollectorSpec.source.fileSystemPath.\1"),
    (r"metrics\.kind", "spec.metricsCollectorSpec.collector.kind"),
    (r"resume_policy", "spec.resumePolicy"),
    (r"trial\.manifest", "spec.trialTemplate.trialSpec"),
    (r"trial\.parameters", "spec.trialTemplate.trialParameters"),
    (r"trial\.primary_container", "spec.trialTemplate.primaryContainerName"),
    (r"trial\.primary_labels", "spec.trialTemplate.primaryPodLabels"),
    (r"trial\.success_condition", "spec.trialTemplate.successCondition"),
    (r"trial\.failure_condition", "spec.trialTemplate.failureCondition"),
    (r"trial", "spec.trialTemplate"),
    (r"(name|namespace|labels|annotations)", r"metadata.\1"),
)


def import_experiment(values: Mapping[str, Any], *, what: str = "The experiment") -> Experiment:
    """Return Katib's experiment as ours, with the meaning that Katib gives it: its defaults are written out.

    Raises:
        ConfigError: Names everything that is wrong, each with its place in Katib's form.
    """
    problems = structure_problems(values)
    read: list[Problem] = []
    experiment = read_dataclass(Experiment, _ours(values), "", read)
    problems = without_repeats(problems, [_in_katibs_words(problem) for problem in read])
    found = [_in_katibs_words(problem) for problem in find_problems(experiment)]
    refuse(without_repeats(problems, found), what=what)
    return experiment


def katib_path(path: str) -> str:
    """Return where Katib's form has what ours has at `path`."""
    for ours, katibs in _PATHS:
        match = re.match(ours, path)
        if match:
            return match.expand(katibs).replace("early_stopping", "earlyStopping") + path[match.end() :]
    return path


def _in_katibs_words(problem: Problem) -> Problem:
    text = problem.text.replace("max_trials", "maxTrialCount")
    return Problem(katib_path(problem.path), text)


def _ours(values: Mapping[str, Any]) -> dict[str, Any]:
    metadata, spec = _object(values, "metadata"), _object(values, "spec")
    ours: dict[str, Any] = {
        "name": metadata.get("name", ""),
        "namespace": metadata.get("namespace", ""),
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
        "parameters": [_parameter(each) for each in _list(spec, "parameters")],
        "objective": _objective(_object(spec, "objective")),
        "algorithm": _algorithm(_object(spec, "algorithm")),
        "limits": _limits(spec),
        "metrics": _metrics(_object(spec, "metricsCollectorSpec")),
        "trial": _trial(_object(spec, "trialTemplate")),
        "resume_policy": spec.get("resumePolicy") or "Never",
    }
    if spec.get("earlyStopping") is not None:
        ours["early_stopping"] = _algorithm(_object(spec, "earlyStopping"))
    return ours


def _parameter(values: Any) -> dict[str, Any]:
    values = values if isinstance(values, Mapping) else {}
    space, kind = _object(values, "feasibleSpace"), values.get("parameterType", "")
    ours = {"name": values.get("name", ""), "type": kind}
    ours |= {name: space[name] for name in ("min", "max", "step") if space.get(name) not in (None, "")}
    if space.get("distribution"):
        ours["distribution"] = space["distribution"]
    if _list(space, "list"):
        ours["values"] = [_number(each) if kind == "discrete" else each for each in _list(space, "list")]
    return ours


def _number(text: Any) -> Any:
    try:
        return read_number(text)
    except (TypeError, ValueError):
        return text


def _objective(values: Mapping[str, Any]) -> dict[str, Any]:
    kind, metric = values.get("type", ""), values.get("objectiveMetricName", "")
    additional = [each for each in _list(values, "additionalMetricNames") if isinstance(each, str)]
    # Katib's default is the best report, of the additional metrics too, by the objective's direction.
    best = {"minimize": "min", "maximize": "max"}.get(str(kind), "latest")
    strategies = dict.fromkeys([metric, *additional], best) if isinstance(metric, str) else {}
    for each in _list(values, "metricStrategies"):
        if isinstance(each, Mapping):
            strategies[str(each.get("name"))] = each.get("value", "")
    return {
        "metric": metric,
        "type": kind,
        "goal": values.get("goal"),
        "additional": additional,
        "strategies": strategies,
    }


def _algorithm(values: Mapping[str, Any]) -> dict[str, Any]:
    settings = {
        str(each.get("name")): each.get("value", "")
        for each in _list(values, "algorithmSettings")
        if isinstance(each, Mapping)
    }
    return {"name": values.get("algorithmName", ""), "settings": settings}


def _limits(spec: Mapping[str, Any]) -> dict[str, Any]:
    parallel, failed = spec.get("parallelTrialCount", DEFAULT_PARALLEL), spec.get("maxFailedTrialCount")
    # Without a maximum Katib goes on for ever; structure_problems says so, and nothing else need be wrong with it.
    most = spec.get("maxTrialCount", max([each for each in (parallel, failed) if isinstance(each, int)], default=1))
    return {"parallel": parallel, "max_failed": failed, "max_trials": most}


def _metrics(values: Mapping[str, Any]) -> dict[str, Any]:
    kind = _object(values, "collector").get("kind") or "StdOut"
    source = _object(values, "source")
    file = _object(source, "fileSystemPath")
    ours: dict[str, Any] = {"kind": kind, "filters": _list(_object(source, "filter"), "metricsFormat")}
    if kind == "File":
        ours |= {"path": file.get("path", DEFAULT_METRICS_FILE), "format": file.get("format") or "TEXT"}
    return ours


def _trial(values: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "reference", "description")
    return {
        "manifest": _object(values, "trialSpec"),
        "parameters": [
            {name: each[name] for name in names if name in each}
            for each in _list(values, "trialParameters")
            if isinstance(each, Mapping)
        ],
        "primary_container": values.get("primaryContainerName", ""),
        "primary_labels": values.get("primaryPodLabels") or {},
        "success_condition": values.get("successCondition", ""),
        "failure_condition": values.get("failureCondition", ""),
        "retain": values.get("retain", False),
    }


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    found = values.get(name)
    return found if isinstance(found, list) else []
