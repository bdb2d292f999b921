"""Says what is wrong with an experiment before anything is started: as strict as Katib's webhook, and stricter."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ropewalk.errors import nearest
from ropewalk.tuning.algorithms import algorithm_problems, numeric, resource_of
from ropewalk.tuning.filters import filter_problem
from ropewalk.tuning.problems import Problem, refuse
from ropewalk.tuning.spec import Experiment, Limits, MetricsSource, Objective, Parameter
from ropewalk.tuning.template_check import template_problems

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_NAME = 40
_TYPES = ("double", "int", "discrete", "categorical")
_DISTRIBUTIONS = ("uniform", "logUniform", "normal", "logNormal")
_LOGARITHMIC = ("logUniform", "logNormal")


def check_experiment(experiment: Experiment) -> None:
    """Refuse an experiment that cannot run as it is.

    Raises:
        ConfigError: Names everything that is wrong, each with its place.
    """
    refuse(find_problems(experiment), what=f"The experiment {experiment.name!r}")


def find_problems(experiment: Experiment) -> list[Problem]:
    """Return everything that is wrong, whichever engine is to run it."""
    return [
        *_name_problems(experiment.name),
        *_space_problems(experiment.parameters, resource_of(experiment.algorithm)),
        *_objective_problems(experiment.objective),
        *algorithm_problems(experiment),
        *_limit_problems(experiment.limits),
        *_source_problems(experiment.metrics),
        *_one_of("resume_policy", experiment.resume_policy, ("Never", "LongRunning", "FromVolume")),
        *template_problems(experiment),
    ]


def _name_problems(name: str) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        yield Problem("name", f"{name!r}: need lower case letters, digits and dashes, from a letter to no dash.")
    if len(name) > _LONGEST_NAME:
        text = f"{name!r} has {len(name)} characters: at most {_LONGEST_NAME}, as trials add theirs."
        yield Problem("name", text)


def _space_problems(parameters: Sequence[Parameter], resource: str) -> Iterator[Problem]:
    if not parameters:
        yield Problem("parameters", "there is none: give one or more.")
    for name, times in Counter(parameter.name for parameter in parameters).items():
        if times > 1:
            yield Problem("parameters", f"the name {name!r} stands {times} times.")
    for place, parameter in enumerate(parameters):
        path = f"parameters[{place}]"
        if not parameter.name:
            yield Problem(f"{path}.name", "it is empty.")
        yield from _one_of(f"{path}.type", parameter.type, _TYPES)
        yield from _one_of(f"{path}.distribution", parameter.distribution, _DISTRIBUTIONS)
        if numeric(parameter):
            yield from _range_problems(path, parameter, is_drawn=parameter.name != resource)
        elif parameter.type in _TYPES:
            yield from _list_problems(path, parameter)


def _range_problems(path: str, parameter: Parameter, *, is_drawn: bool) -> Iterator[Problem]:
    if parameter.values:
        yield Problem(f"{path}.values", f"a {parameter.type} has min and max, no list.")
    ends = {"min": parameter.min, "max": parameter.max}
    for name, value in ends.items():
        if value is None:
            yield Problem(f"{path}.{name}", f"a {parameter.type} needs it.")
        elif not math.isfinite(value):
            yield Problem(f"{path}.{name}", f"{value} is not finite.")
        elif parameter.type == "int" and value != int(value):
            yield Problem(f"{path}.{name}", f"{value:g} is not whole, but the parameter is an int.")
    if parameter.min is None or parameter.max is None:
        return
    # Hyperband's resource is given, not drawn: Katib's own example has it from 1 to 1.
    if not parameter.min < parameter.max and (is_drawn or parameter.min > parameter.max):
        yield Problem(f"{path}.min", f"{parameter.min:g} is not less than max={parameter.max:g}.")
    if parameter.distribution in _LOGARITHMIC and parameter.min <= 0:
        text = f"{parameter.min:g}: {parameter.distribution} takes logarithms, so it must be above 0."
        yield Problem(f"{path}.min", text)
    yield from _step_problems(path, parameter, parameter.max - parameter.min)


def _step_problems(path: str, parameter: Parameter, width: float) -> Iterator[Problem]:
    step = parameter.step
    if step is None:
        return
    if not (math.isfinite(step) and 0 < step <= width):
        yield Problem(f"{path}.step", f"{step:g}: need more than 0 and at most max - min = {width:g}.")
    elif parameter.type == "int" and step != int(step):
        yield Problem(f"{path}.step", f"{step:g} is not whole, but the parameter is an int.")
    if parameter.distribution == "logUniform" and not (parameter.type == "int" and step == 1):
        yield Problem(f"{path}.step", "logUniform takes no step: leave one of the two out.")


def _list_problems(path: str, parameter: Parameter) -> Iterator[Problem]:
    for name in ("min", "max", "step"):
        if getattr(parameter, name) is not None:
            yield Problem(f"{path}.{name}", f"a {parameter.type} has a list of values only.")
    if parameter.distribution != "uniform":
        yield Problem(f"{path}.distribution", f"a {parameter.type} is always drawn uniformly.")
    if not parameter.values:
        yield Problem(f"{path}.values", "it is empty.")
    for value, times in Counter(parameter.values).items():
        if times > 1:
            yield Problem(f"{path}.values", f"{value!r} stands {times} times.")
    for place, value in enumerate(parameter.values):
        if parameter.type == "discrete" and not _is_number(value):
            text = f"{value!r} is not a finite number: make the parameter a categorical."
            yield Problem(f"{path}.values[{place}]", text)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _objective_problems(objective: Objective) -> Iterator[Problem]:
    if not objective.metric:
        yield Problem("objective.metric", "it is empty.")
    yield from _one_of("objective.type", objective.type, ("minimize", "maximize"))
    if objective.goal is not None and not math.isfinite(objective.goal):
        yield Problem("objective.goal", f"{objective.goal} is not finite.")
    if objective.metric in objective.additional:
        yield Problem("objective.additional", f"{objective.metric!r} is the objective itself: leave it out.")
    for name, times in Counter(objective.additional).items():
        if times > 1 or not name:
            yield Problem("objective.additional", f"the name {name!r} stands {times} times." if name else "empty name.")
    for name, strategy in objective.strategies.items():
        path = f"objective.strategies.{name}"
        if name not in objective.metrics:
            text = f"there is no such metric.{nearest(name, objective.metrics)} Known: {', '.join(objective.metrics)}."
            yield Problem(path, text)
        yield from _one_of(path, strategy, ("latest", "min", "max"))


def _limit_problems(limits: Limits) -> Iterator[Problem]:
    for name in ("parallel", "max_trials"):
        if getattr(limits, name) < 1:
            yield Problem(f"limits.{name}", f"{getattr(limits, name)}: need 1 or more.")
    if limits.parallel > limits.max_trials >= 1:
        yield Problem("limits.parallel", f"{limits.parallel} is more than max_trials={limits.max_trials}.")
    if limits.max_failed is not None and not 0 <= limits.max_failed <= limits.max_trials:
        text = f"{limits.max_failed}: need 0 to max_trials={limits.max_trials}."
        yield Problem("limits.max_failed", text)
    for name in ("experiment_seconds", "trial_seconds", "stall_seconds"):
        value = getattr(limits, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            yield Problem(f"limits.{name}", f"{value}: need seconds above 0.")


def _source_problems(source: MetricsSource) -> Iterator[Problem]:
    yield from _one_of("metrics.kind", source.kind, ("StdOut", "File"))
    yield from _one_of("metrics.format", source.format, ("TEXT", "JSON"))
    if source.kind == "File" and not source.path.startswith("/"):
        yield Problem("metrics.path", f"{source.path!r}: File needs an absolute path.")
    if source.kind == "StdOut" and source.path:
        yield Problem("metrics.path", "StdOut reads what the trial prints, no file: leave it out, or use kind File.")
    if source.kind == "StdOut" and source.format == "JSON":
        yield Problem("metrics.format", "JSON is read from files only: use kind File.")
    if source.format == "JSON" and source.filters:
        yield Problem("metrics.filters", "JSON takes no filters.")
    for place, each in enumerate(source.filters):
        if wrong := filter_problem(each):
            yield Problem(f"metrics.filters[{place}]", wrong)


def _one_of(path: str, value: str, known: Sequence[str]) -> Iterator[Problem]:
    if value not in known:
        yield Problem(path, f"{value!r} is not known.{nearest(str(value), known)} Known: {', '.join(known)}.")
