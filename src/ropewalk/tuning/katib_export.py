"""Our experiment as Katib's, with what only Katib cannot do refused first."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ropewalk.tuning.algorithms import read_setting
from ropewalk.tuning.check import find_problems
from ropewalk.tuning.katib_import import API_VERSION, KIND
from ropewalk.tuning.problems import Problem, refuse
from ropewalk.tuning.render import value_text
from ropewalk.tuning.spec import Algorithm, EarlyStopping, Experiment, MetricsSource, Parameter

_LONGEST_NAMES = {"TrainJob": 39, "pbt": 26}
_WITHOUT_DISTRIBUTION = ("grid", "cmaes", "sobol", "bayesianoptimization")
_WITHOUT_NORMAL = ("multivariate-tpe",)


def export_experiment(experiment: Experiment) -> dict[str, Any]:
    """Return the body of Katib's resource; importing it gives the same experiment, less the time limits of the whole.

    Every metric's strategy is written out, because Katib's own default is the best report, not the latest.

    Raises:
        ConfigError: Names everything that is wrong, or that Katib would do otherwise than it says.
    """
    refuse([*find_problems(experiment), *katib_problems(experiment)], what=f"The experiment {experiment.name!r}")
    from kubeflow_katib_api import models

    metadata = {"name": experiment.name, "labels": experiment.labels, "annotations": experiment.annotations}
    if experiment.namespace:
        metadata["namespace"] = experiment.namespace
    model = models.V1beta1Experiment.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {name: value for name, value in metadata.items() if value},
            "spec": _spec(experiment),
        }
    )
    return dict(model.to_dict())


def katib_problems(experiment: Experiment) -> list[Problem]:
    """Return what Katib 0.19 accepts and then ignores, fails on later, or loops over."""
    return [*_long_name_problems(experiment), *_distribution_problems(experiment), *_hyperband_problems(experiment)]


def _long_name_problems(experiment: Experiment) -> Iterator[Problem]:
    for word in (str(experiment.trial.manifest.get("kind")), experiment.algorithm.name):
        longest = _LONGEST_NAMES.get(word)
        if longest and len(experiment.name) > longest:
            yield Problem("name", f"{experiment.name!r}: with {word} at most {longest} characters.")


def _distribution_problems(experiment: Experiment) -> Iterator[Problem]:
    name = experiment.algorithm.name
    for place, parameter in enumerate(experiment.parameters):
        path = f"parameters[{place}].distribution"
        ignored = name in _WITHOUT_DISTRIBUTION and parameter.distribution != "uniform"
        normal = name in _WITHOUT_NORMAL and parameter.distribution in ("normal", "logNormal")
        if ignored or normal:
            yield Problem(path, f"Katib's {name} ignores {parameter.distribution}: use random or tpe, or uniform.")
        if name == "bayesianoptimization" and parameter.type == "double" and (parameter.min or 0) <= 0:
            text = f"{parameter.min}: Katib's bayesianoptimization takes logarithms of doubles: need more than 0."
            yield Problem(f"parameters[{place}].min", text)


def _hyperband_problems(experiment: Experiment) -> Iterator[Problem]:
    settings = experiment.algorithm.settings
    if experiment.algorithm.name != "hyperband" or "r_l" not in settings:
        return
    eta, most = read_setting(settings, "eta", 3), read_setting(settings, "r_l", 1.0)
    # The small addition keeps 27 = 3 ** 3 from being rounded down to two rungs.
    need = eta ** math.floor(math.log(most, eta) + 1e-9)
    if experiment.limits.parallel < need:
        text = f"{experiment.limits.parallel}: Katib's hyperband needs eta ** floor(log(r_l, eta)) = {need} or more."
        yield Problem("limits.parallel", text)


def _spec(experiment: Experiment) -> dict[str, Any]:
    limits = experiment.limits
    spec: dict[str, Any] = {
        "parameters": [_parameter(each) for each in experiment.parameters],
        "objective": _objective(experiment),
        "algorithm": _algorithm(experiment.algorithm),
        "parallelTrialCount": limits.parallel,
        "maxTrialCount": limits.max_trials,
        "metricsCollectorSpec": _metrics(experiment.metrics),
        "trialTemplate": _template(experiment),
        "resumePolicy": experiment.resume_policy,
    }
    if limits.max_failed is not None:
        spec["maxFailedTrialCount"] = limits.max_failed
    if experiment.early_stopping is not None:
        spec["earlyStopping"] = _algorithm(experiment.early_stopping)
    return spec


def _parameter(parameter: Parameter) -> dict[str, Any]:
    space: dict[str, Any] = {}
    for name in ("min", "max", "step"):
        value = getattr(parameter, name)
        if value is not None:
            space[name] = str(int(value)) if parameter.type == "int" else value_text(value)
    if parameter.values:
        space["list"] = [value_text(value) for value in parameter.values]
    if parameter.distribution != "uniform":
        space["distribution"] = parameter.distribution
    return {"name": parameter.name, "parameterType": parameter.type, "feasibleSpace": space}


def _objective(experiment: Experiment) -> dict[str, Any]:
    objective = experiment.objective
    found: dict[str, Any] = {
        "type": objective.type,
        "objectiveMetricName": objective.metric,
        "metricStrategies": [{"name": name, "value": objective.strategy(name)} for name in objective.metrics],
    }
    if objective.goal is not None:
        found["goal"] = objective.goal
    if objective.additional:
        found["additionalMetricNames"] = list(objective.additional)
    return found


def _algorithm(algorithm: Algorithm | EarlyStopping) -> dict[str, Any]:
    found: dict[str, Any] = {"algorithmName": algorithm.name}
    if algorithm.settings:
        found["algorithmSettings"] = [
            {"name": name, "value": value_text(value)} for name, value in algorithm.settings.items()
        ]
    return found


def _metrics(source: MetricsSource) -> dict[str, Any]:
    found: dict[str, Any] = {"collector": {"kind": source.kind}}
    inner: dict[str, Any] = {}
    if source.kind == "File":
        inner["fileSystemPath"] = {"kind": "File", "path": source.path, "format": source.format}
    if source.filters:
        inner["filter"] = {"metricsFormat": list(source.filters)}
    return {**found, "source": inner} if inner else found


def _template(experiment: Experiment) -> dict[str, Any]:
    template = experiment.trial
    found: dict[str, Any] = {
        "retain": template.retain,
        "primaryContainerName": template.primary_container,
        "trialParameters": [
            {name: value for name, value in vars(each).items() if value} for each in template.parameters
        ],
        "trialSpec": _with_deadline(template.manifest, experiment.limits.trial_seconds),
    }
    if template.primary_labels:
        found["primaryPodLabels"] = template.primary_labels
    for ours, katibs in (("success_condition", "successCondition"), ("failure_condition", "failureCondition")):
        if getattr(template, ours):
            found[katibs] = getattr(template, ours)
    return found


def _with_deadline(manifest: Mapping[str, Any], seconds: float | None) -> dict[str, Any]:
    """Return the resource with the time limit of a trial, where its kind has a field for it and it has none yet."""
    spec = manifest.get("spec") or {}
    if seconds is None or manifest.get("kind") not in ("Job", "PyTorchJob", "TrainJob"):
        return dict(manifest)
    deadline = {"activeDeadlineSeconds": math.ceil(seconds)}
    if manifest["kind"] == "PyTorchJob":
        return {**manifest, "spec": {**spec, "runPolicy": {**deadline, **(spec.get("runPolicy") or {})}}}
    return {**manifest, "spec": {**deadline, **spec}}
