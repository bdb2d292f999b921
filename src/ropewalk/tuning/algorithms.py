"""The algorithms by Katib's names: their settings, and what they need of the search space."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.errors import nearest
from ropewalk.tuning.grid import grid_size
from ropewalk.tuning.problems import Problem
from ropewalk.tuning.spec import Algorithm, Experiment, Parameter


@dataclass(frozen=True)
class Setting:
    """What one setting may be."""

    type: type
    """int, float or str."""
    least: float = -math.inf
    """Smallest number."""
    below: float = math.inf
    """Numbers must be less than this."""
    above: float = -math.inf
    """Numbers must be greater than this."""
    choices: tuple[str, ...] = ()
    """The texts that are allowed; none: all."""
    required: bool = False
    """Whether there is no default."""


_SEED = Setting(int, least=0)

SETTINGS: Mapping[str, Mapping[str, Setting]] = {
    "random": {"random_state": _SEED},
    "grid": {"random_state": _SEED},
    "tpe": {
        "gamma": Setting(float, above=0, below=1),
        "prior_weight": Setting(float, above=0),
        "n_EI_candidates": Setting(int, least=1),
        "random_state": _SEED,
    },
    "multivariate-tpe": {
        "n_startup_trials": Setting(int, least=0),
        "n_ei_candidates": Setting(int, least=1),
        "random_state": _SEED,
    },
    "cmaes": {
        "random_state": _SEED,
        "sigma": Setting(float, above=0),
        "restart_strategy": Setting(str, choices=("none", "ipop", "bipop")),
    },
    "sobol": {},
    "bayesianoptimization": {
        "base_estimator": Setting(str, choices=("GP", "RF", "ET", "GBRT")),
        "n_initial_points": Setting(int, least=1),
        "acq_func": Setting(str, choices=("gp_hedge", "LCB", "EI", "PI", "EIps", "PIps")),
        "acq_optimizer": Setting(str, choices=("auto", "sampling", "lbfgs")),
        "random_state": _SEED,
    },
    "hyperband": {
        "r_l": Setting(float, least=1, required=True),
        "resource_name": Setting(str, required=True),
        "eta": Setting(int, least=2),
    },
    "pbt": {
        "suggestion_trial_dir": Setting(str),
        "n_population": Setting(int, least=5),
        "truncation_threshold": Setting(float, least=0, below=1),
    },
}
"""Katib's settings (pkg/suggestion/v1beta1). Its sobol service ignores all; pbt's resample_probability always fails."""

STOPPING_SETTINGS: Mapping[str, Mapping[str, Setting]] = {
    "medianstop": {"min_trials_required": Setting(int, least=1), "start_step": Setting(int, least=1)}
}


def read_setting(settings: Mapping[str, Any], name: str, default: Any) -> Any:
    """Return a checked setting in the type of `default`: Katib's settings are all texts."""
    value = settings.get(name)
    if value is None:
        return default
    return int(float(value)) if isinstance(default, int) else type(default)(value)


def resource_of(algorithm: Algorithm) -> str:
    """Return the name of the parameter that hyperband gives in growing amounts; "" where there is none."""
    return str(algorithm.settings.get("resource_name", "")) if algorithm.name == "hyperband" else ""


def algorithm_problems(experiment: Experiment) -> Iterator[Problem]:
    """Yield what is wrong with the algorithm, its settings and early stopping."""
    algorithm, stopping = experiment.algorithm, experiment.early_stopping
    yield from _settings_problems("algorithm", algorithm.name, algorithm.settings, SETTINGS)
    if stopping is not None:
        yield from _settings_problems("early_stopping", stopping.name, stopping.settings, STOPPING_SETTINGS)
    need = _NEEDS.get(algorithm.name)
    if need is not None:
        yield from need(experiment)


def _settings_problems(
    path: str, name: str, settings: Mapping[str, Any], table: Mapping[str, Mapping[str, Setting]]
) -> Iterator[Problem]:
    if name not in table:
        yield Problem(f"{path}.name", f"{name!r} is not known.{nearest(name, table)} Known: {', '.join(table)}.")
        return
    known = table[name]
    for each, value in settings.items():
        if each not in known:
            names = ", ".join(known) or "none"
            text = f"{name} has no such setting.{nearest(each, known)} It has: {names}."
            yield Problem(f"{path}.settings.{each}", text)
        elif wrong := _value_problem(known[each], value):
            yield Problem(f"{path}.settings.{each}", wrong)
    for each, setting in known.items():
        if setting.required and each not in settings:
            yield Problem(f"{path}.settings.{each}", f"{name} needs it.")


def _value_problem(setting: Setting, value: Any) -> str:
    if setting.type is str:
        if setting.choices and value not in setting.choices:
            return f"{value!r} is not one of {', '.join(setting.choices)}."
        return ""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return f"{value!r} is not a number."
    if not math.isfinite(number) or (setting.type is int and number != int(number)):
        return f"{value!r} is not {'a whole' if setting.type is int else 'a finite'} number."
    if not (setting.least <= number < setting.below and number > setting.above):
        low = f"{setting.least:g} or more" if math.isfinite(setting.least) else f"more than {setting.above:g}"
        high = f" and less than {setting.below:g}" if math.isfinite(setting.below) else ""
        return f"{value!r}: need {low}{high}."
    return ""


def _grid_needs(experiment: Experiment) -> Iterator[Problem]:
    complete = True
    for place, parameter in enumerate(experiment.parameters):
        if parameter.type == "double" and parameter.step is None:
            complete = False
            yield Problem(f"parameters[{place}].step", "grid needs the step of a double.")
        if parameter.type in ("double", "int") and (parameter.min is None or parameter.max is None):
            complete = False
    if not complete:
        return
    size = grid_size(experiment.parameters)
    if 0 < size < experiment.limits.max_trials:
        text = f"{experiment.limits.max_trials} is more than the {size} combinations of the grid: give {size} or less."
        yield Problem("limits.max_trials", text)


def _cmaes_needs(experiment: Experiment) -> Iterator[Problem]:
    numbers = [parameter for parameter in experiment.parameters if parameter.type in ("double", "int")]
    if len(numbers) < 2:
        yield Problem("parameters", f"cmaes needs two or more of type double or int; there is {len(numbers)}.")


def _hyperband_needs(experiment: Experiment) -> Iterator[Problem]:
    name = resource_of(experiment.algorithm)
    known = {parameter.name: parameter for parameter in experiment.parameters}
    path = "algorithm.settings.resource_name"
    if name and name not in known:
        yield Problem(path, f"{name!r} is no parameter.{nearest(name, known)}")
    elif name and known[name].type not in ("int", "double"):
        yield Problem(path, f"{name!r} is of type {known[name].type}; the resource must be an int or double.")
    for place, parameter in enumerate(experiment.parameters):
        if parameter.type == "discrete" and not all(_is_whole(value) for value in parameter.values):
            yield Problem(f"parameters[{place}].values", "hyperband takes discrete values only as whole numbers.")


def _pbt_needs(experiment: Experiment) -> Iterator[Problem]:
    for place, parameter in enumerate(experiment.parameters):
        if parameter.type == "int":
            text = "pbt crashes on an int: make it a discrete with its values."
            yield Problem(f"parameters[{place}].type", text)
        if parameter.type == "double" and parameter.step is None:
            yield Problem(f"parameters[{place}].step", "pbt needs the step of a double.")


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and float(value).is_integer()


_NEEDS = {"grid": _grid_needs, "cmaes": _cmaes_needs, "hyperband": _hyperband_needs, "pbt": _pbt_needs}


def numeric(parameter: Parameter) -> bool:
    """Return whether a parameter has a range."""
    return parameter.type in ("double", "int")
