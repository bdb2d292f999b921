"""The search space in short form: names of the training's settings, each with a range or a list of values."""

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ropewalk.errors import ConfigError, nearest
from ropewalk.training.config import GBDT, LINEAR, MLP, TABULAR, TrainingConfig
from ropewalk.tuning.lenient import read_dataclass
from ropewalk.tuning.problems import Problem, refuse
from ropewalk.tuning.spec import Distribution, Parameter, Value

EPOCHS = "epochs"
"""The one name that is no field of TrainingConfig: hyperband's resource."""

Kind = Literal["double", "int", "categorical"]

_NEVER = {
    "class_weights",
    "weight_column",
    "checkpoint",
    "checkpoint_seconds",
    "checkpoint_steps",
    "log_seconds",
    "table_gigabytes",
    "device",
}
"""Settings that are the same in every trial: they change what is learned, or nothing about the model."""
_OPTIMIZER: dict[str, Any] = {
    "learning_rate": {"min": 3e-4, "max": 1e-2, "distribution": "logUniform"},
    "weight_decay": {"min": 1e-3, "max": 0.3, "distribution": "logUniform"},
}
_LAYERS: dict[str, Any] = {
    "dropout": {"min": 0.0, "max": 0.5},
    "width": {"values": [64, 128, 256, 512]},
    "depth": {"min": 1, "max": 4},
}
_TREES: dict[str, Any] = {
    "boosting_rate": {"min": 0.01, "max": 0.3, "distribution": "logUniform"},
    "boosting_leaves": {"min": 7, "max": 127, "distribution": "logUniform"},
    "boosting_columns": {"min": 0.3, "max": 1.0},
}
_DEFAULTS = {TABULAR: _OPTIMIZER | _LAYERS, MLP: _OPTIMIZER | _LAYERS, LINEAR: _OPTIMIZER, GBDT: _TREES}
"""Around the defaults of TrainingConfig; rates and penalties by their logarithm, as Bergstra and Bengio (JMLR 2012)."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What a setting may be: a range of numbers, or a list of values."""

    min: float | None = None
    """Least number."""
    max: float | None = None
    """Greatest number."""
    step: float | None = None
    """Distance of numbers from `min` up."""
    distribution: Distribution = "uniform"
    """uniform, logUniform, normal or logNormal."""
    values: tuple[Value, ...] = ()
    """Numbers or texts, instead of a range."""


def default_search(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the search space for an architecture, without what `training` settles: fields of TrainingConfig."""
    architecture = str(training.get("architecture", TABULAR))
    space = _DEFAULTS.get(architecture, _OPTIMIZER)
    return {name: dimension for name, dimension in space.items() if name not in training}


def read_search(search: Mapping[str, Any], training: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return the parameters of a search space; an empty one is the default for the architecture.

    Args:
        search: Setting to range or values: {"dropout": {"min": 0, "max": 0.5}, "width": {"values": [128, 256]}}; a list
            alone are values.
        training: The settings that are the same in every trial.

    Raises:
        ConfigError: Names everything that is wrong: unknown settings, types, values that training would refuse.
    """
    space = search or default_search(training)
    problems: list[Problem] = []
    if not space:
        problems.append(Problem("search", "it is empty, and training settles all that is searched by default."))
    parameters = [_parameter(name, given, training, problems) for name, given in space.items()]
    refuse(problems, what="The search")
    return tuple(each for each in parameters if each is not None)


def searchable() -> dict[str, Kind]:
    """Return the settings that can be searched, and what kind of value each takes."""
    kinds = {name: _kind(hint) for name, hint in get_type_hints(TrainingConfig).items() if name not in _NEVER}
    return {EPOCHS: "int", **{name: kind for name, kind in kinds.items() if kind is not None}}


def _kind(hint: Any) -> Kind | None:
    if get_origin(hint) in (types.UnionType, Union):
        inner = [each for each in get_args(hint) if each is not types.NoneType]
        hint = inner[0] if len(inner) == 1 else None
    kinds: dict[Any, Kind] = {float: "double", int: "int", str: "categorical"}
    return kinds.get(hint)


def _parameter(name: str, given: Any, training: Mapping[str, Any], problems: list[Problem]) -> Parameter | None:
    path, known = f"search.{name}", searchable()
    if name not in known:
        text = f"there is no such setting to search.{nearest(name, known)} Known: {', '.join(sorted(known))}."
        problems.append(Problem(path, text))
        return None
    if name in training:
        problems.append(Problem(path, f"training settles it as {training[name]!r}: leave one of the two out."))
    found: list[Problem] = []
    values = {"values": given} if isinstance(given, list | tuple) else given
    dimension = read_dataclass(Dimension, values, path, found)
    if not found:
        found += _shape_problems(path, dimension, known[name])
    problems += found
    if found:
        return None
    parameter = _typed(name, dimension, known[name])
    problems += _value_problems(path, parameter)
    return parameter


def _shape_problems(path: str, dimension: Dimension, kind: Kind) -> Iterator[Problem]:
    if dimension.values:
        if dimension.min is not None or dimension.max is not None:
            yield Problem(path, "it has values and a range: give one of the two.")
        for value in dimension.values:
            if not _fits(value, kind):
                need = {"double": "a number", "int": "a whole number", "categorical": "a text"}[kind]
                yield Problem(f"{path}.values", f"{value!r}: need {need}.")
    elif kind == "categorical":
        yield Problem(path, 'it is a text: give {"values": [...]}.')
    elif dimension.min is None or dimension.max is None:
        yield Problem(path, 'give {"min": ..., "max": ...} or {"values": [...]}.')


def _fits(value: object, kind: Kind) -> bool:
    if kind == "categorical":
        return isinstance(value, str)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and (kind == "double" or float(value).is_integer())  # type: ignore[arg-type]  # it is a number


def _typed(name: str, dimension: Dimension, kind: Kind) -> Parameter:
    if not dimension.values:
        range_type: Literal["int", "double"] = "int" if kind == "int" else "double"
        return Parameter(
            name=name,
            type=range_type,
            min=dimension.min,
            max=dimension.max,
            step=dimension.step,
            distribution=dimension.distribution,
        )
    if kind == "categorical":
        return Parameter(name=name, type="categorical", values=dimension.values)
    # KFP delivers every number inside JSON as a float.
    numbers = tuple(int(value) if kind == "int" else float(value) for value in dimension.values)
    return Parameter(name=name, type="discrete", values=numbers)


def _value_problems(path: str, parameter: Parameter) -> Iterator[Problem]:
    """Yield what training would say of the ends of the range, or of each value."""
    ends = {"min": parameter.min, "max": parameter.max}
    tried: Sequence[tuple[str, Any]] = [(name, value) for name, value in ends.items() if value is not None]
    for place, value in [*tried, *(("values", value) for value in parameter.values)]:
        try:
            _try(parameter.name, int(value) if parameter.type == "int" else value)
        except ConfigError as error:
            yield Problem(f"{path}.{place}", str(error))


def _try(name: str, value: Value) -> None:
    if name != EPOCHS:
        replace(TrainingConfig(), **{name: value})  # type: ignore[arg-type]  # its type was checked
    elif int(value) < 1:
        raise ConfigError(f"epochs={value}: need 1 or more.")
