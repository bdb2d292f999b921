"""Katib's Experiments: what is read, with which meaning, and what is refused that Katib drops or fails on later."""

import pytest

from ropewalk.errors import ConfigError
from ropewalk.tuning.parse import parse_experiment, read_experiment
from ropewalk.tuning.spec import MetricsSource


def _change(values, path, value):
    *way, last = path
    for part in way:
        values = values[part]
    if value is None:
        del values[last]
    else:
        values[last] = value


TEMPLATE = ("spec", "trialTemplate")
CONTAINER = (*TEMPLATE, "trialSpec", "spec", "template", "spec", "containers", 0)
SPACE = ("spec", "parameters", 0, "feasibleSpace")
CASES = [
    (("spec", "maxTrialCout"), 3, "spec.maxTrialCout: there is no such field, Katib would drop it. Did you mean"),
    (("spec", "maxTrialCount"), None, "spec.maxTrialCount: it is missing: Katib would go on for ever"),
    (("spec", "maxTrialCount"), "6", "spec.maxTrialCount: '6': Input should be a valid integer"),
    (("spec", "objective", "type"), "bogus", "spec.objective.type: 'bogus' is not known"),
    (("spec", "objective", "objectiveMetricName"), None, "spec.objective.objectiveMetricName: it is empty"),
    (("spec", "objective", "additionalMetricNames"), ["loss"], "spec.objective.additionalMetricNames: 'loss' is the"),
    (("spec", "parallelTrialCount"), 9, "spec.parallelTrialCount: 9 is more than maxTrialCount=6"),
    (("spec", "maxFailedTrialCount"), 9, "spec.maxFailedTrialCount: 9: need 0 to maxTrialCount=6"),
    (("spec", "algorithm", "algorithmName"), "nope", "spec.algorithm.algorithmName: 'nope' is not known"),
    (("spec", "earlyStopping"), {"algorithmName": "x"}, "spec.earlyStopping.algorithmName: 'x' is not known"),
    (("spec", "resumePolicy"), "Always", "spec.resumePolicy: 'Always' is not known"),
    (("spec", "nasConfig"), {}, "spec.nasConfig: architecture search is not supported"),
    ((*SPACE, "min"), 0.01, "spec.parameters[0].feasibleSpace.min: 0.01: Input should be a valid string"),
    ((*SPACE, "min"), "a", "spec.parameters[0].feasibleSpace.min: 'a' is not a number"),
    ((*SPACE, "min"), "0.05", "spec.parameters[0].feasibleSpace.min: 0.05 is not less than max=0.05"),
    ((*SPACE, "distribution"), "log", "spec.parameters[0].feasibleSpace.distribution: 'log' is not known"),
    (("spec", "parameters", 1, "parameterType"), "real", "spec.parameters[1].parameterType: 'real' is not known"),
    (
        ("spec", "metricsCollectorSpec"),
        {"collector": {"kind": "PrometheusMetric"}},
        "'PrometheusMetric' is not supported",
    ),
    (
        ("spec", "metricsCollectorSpec"),
        {"collector": {"kind": "File"}, "source": {"fileSystemPath": {"path": "/m", "kind": "Directory"}}},
        "source.fileSystemPath.kind: 'Directory': need 'File'",
    ),
    (
        ("spec", "metricsCollectorSpec"),
        {"source": {"filter": {"metricsFormat": ["(a"]}}},
        "spec.metricsCollectorSpec.source.filter.metricsFormat[0]: '(a' is no RE2",
    ),
    ((*TEMPLATE, "configMap"), {"configMapName": "a"}, "spec.trialTemplate.configMap: a template in a ConfigMap"),
    ((*TEMPLATE, "primaryContainerName"), None, "spec.trialTemplate.primaryContainerName: it is empty"),
    ((*TEMPLATE, "primaryContainerName"), "x", "spec.trialTemplate.primaryContainerName: the trial's resource has no"),
    ((*TEMPLATE, "trialParameters", 0, "reference"), "lrr", "trialParameters[0].reference: 'lrr' is no parameter. Did"),
    ((*TEMPLATE, "trialParameters", 0, "name"), "size", "spec.trialTemplate.trialParameters: the name 'size' stands 2"),
    ((*TEMPLATE, "trialParameters", 0, "name"), "a{b}", "need a name without braces"),
    ((*TEMPLATE, "trialParameters", 0), {"name": "learningRate", "reference": "${trialSpec.Labels[k]}"}, "no such key"),
    ((*TEMPLATE, "trialParameters"), [], "${trialParameters.learningRate} has no entry"),
    ((*TEMPLATE, "trialSpec", "metadata"), {"name": "x"}, "spec.trialTemplate.trialSpec.metadata.name: 'x': leave it"),
    ((*TEMPLATE, "trialSpec", "kind"), None, "spec.trialTemplate.trialSpec.kind: it is missing"),
    ((*TEMPLATE, "trialSpec", "kind"), "Workflow", "spec.trialTemplate.successCondition: a Workflow needs it"),
    ((*TEMPLATE, "trialSpec", "apiVersion"), "batch/v2", "'batch/v2': a Job is of batch/v1"),
    ((*TEMPLATE, "trialSpec", "spec", "backofLimit"), 1, "trialSpec.spec.backofLimit: a JobSpec has no such field"),
    ((*CONTAINER, "comand"), ["a"], "containers[0].comand: a Container has no such field. Did you mean 'command'?"),
    ((*CONTAINER, "command"), None, "containers[0].command: there is none: Katib would ask the registry"),
    (("apiVersion",), "kubeflow.org/v1", "apiVersion: 'kubeflow.org/v1': need 'kubeflow.org/v1beta1'"),
    (("metadata", "name"), "a" * 41, "metadata.name: "),
]


@pytest.mark.parametrize(("path", "value", "message"), CASES, ids=[case[2][:48] for case in CASES])
def test_what_katib_refuses_or_lets_through_to_fail_is_refused(katib, path, value, message):
    values = katib()
    _change(values, path, value)
    with pytest.raises(ConfigError) as refused:
        parse_experiment(values)
    assert message in str(refused.value)


def test_all_errors_come_at_once(katib):
    values = katib()
    _change(values, ("spec", "maxTrialCout"), 3)
    _change(values, (*SPACE, "max"), 3)
    _change(values, ("spec", "objective", "type"), "bogus")
    _change(values, (*CONTAINER, "command"), ["sh"])
    with pytest.raises(ConfigError) as refused:
        parse_experiment(values)
    lines = str(refused.value).splitlines()[1:]
    places = [line.partition(": ")[0].strip(" -") for line in lines]
    assert {"spec.maxTrialCout", "spec.parameters[0].feasibleSpace.max", "spec.objective.type"} <= set(places)
    assert any("makes Katib's webhook panic" in line for line in lines)
    assert len(set(places)) == len(places), "each place once"


def test_an_experiment_keeps_the_meaning_that_katib_gives_it(katib):
    found = parse_experiment(katib())
    assert found.objective.strategies == {"loss": "min", "accuracy": "min"}, "Katib's default is the best report"
    assert [parameter.values for parameter in found.parameters] == [(), (16, 32), ("sgd", "adam")]
    assert (found.limits.parallel, found.limits.max_trials, found.limits.max_failed) == (2, 6, 3)
    assert (found.name, found.namespace, found.metrics) == ("mine", "team", MetricsSource())


def test_three_trials_run_in_parallel_where_nothing_is_said(katib):
    values = katib()
    del values["spec"]["parallelTrialCount"]
    assert parse_experiment(values).limits.parallel == 3


def test_published_examples_are_accepted(example):
    assert read_experiment(example).limits.max_trials in (12, 15)
