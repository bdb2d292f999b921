"""Search spaces in Optuna's terms."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ropewalk.tuning.spec import Parameter, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_DEVIATIONS = 3.0
"""Deviations from the mean to each end of the range: Katib's (pkg/suggestion/v1beta1/hyperopt/base_service.py)."""
_BELOW = NormalDist().cdf(-_DEVIATIONS)


def distributions(parameters: Sequence[Parameter]) -> dict[str, "BaseDistribution"]:
    """Return Optuna's distribution of each parameter.

    It has no normal ones: these are searched as the share of the distribution below the value, from 0 to 1.
    """
    return {parameter.name: _distribution(parameter) for parameter in parameters}


def typed_values(parameters: Sequence[Parameter], found: Mapping[str, Any]) -> dict[str, Value]:
    """Return Optuna's values as the parameters', inside their ranges and on their steps."""
    return {parameter.name: _typed(parameter, found[parameter.name]) for parameter in parameters}


def _distribution(parameter: Parameter) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.values:
        return CategoricalDistribution(parameter.values)
    if is_normal(parameter):
        return FloatDistribution(0.0, 1.0)
    low, high = _ends(parameter)
    log = parameter.distribution == "logUniform"
    if parameter.type == "int":
        return IntDistribution(int(low), int(high), log=log, step=int(parameter.step or 1))
    return FloatDistribution(low, high, log=log, step=parameter.step)


def is_normal(parameter: Parameter) -> bool:
    """Return whether a parameter is drawn from a normal distribution, or its logarithm is."""
    return parameter.distribution in ("normal", "logNormal")


def is_logarithmic(parameter: Parameter) -> bool:
    """Return whether a parameter's logarithm is what is drawn."""
    return parameter.distribution in ("logUniform", "logNormal")


def _ends(parameter: Parameter) -> tuple[float, float]:
    """Return the least and the greatest value, which lies on a step."""
    assert parameter.min is not None and parameter.max is not None, "the experiment has been checked"
    if parameter.step is None:
        return parameter.min, parameter.max
    low, step = Decimal(repr(parameter.min)), Decimal(repr(parameter.step))
    return parameter.min, float(low + (Decimal(repr(parameter.max)) - low) // step * step)


def _typed(parameter: Parameter, value: Any) -> Value:
    if parameter.values:
        found: Value = value
        return found
    number = normal_quantile(parameter, value) if is_normal(parameter) else float(value)
    low, high = _ends(parameter)
    if parameter.step is not None or parameter.type == "int":
        # Decimals keep steps of 0.1 from giving 0.30000000000000004.
        start, step = Decimal(repr(low)), Decimal(repr(parameter.step or 1.0))
        number = float(start + round((Decimal(repr(number)) - start) / step) * step)
    number = min(max(number, low), high)
    return round(number) if parameter.type == "int" else number


def normal_quantile(parameter: Parameter, share: float) -> float:
    """Return the value below which `share` (0 to 1) of the normal distribution lies that is cut off at the range."""
    assert parameter.min is not None and parameter.max is not None, "the experiment has been checked"
    log = parameter.distribution == "logNormal"
    low, high = (math.log(parameter.min), math.log(parameter.max)) if log else (parameter.min, parameter.max)
    spread = NormalDist((low + high) / 2, (high - low) / (2 * _DEVIATIONS))
    value = spread.inv_cdf(_BELOW + share * (1 - 2 * _BELOW))
    return math.exp(value) if log else value


def covering(parameters: Sequence[Parameter], found: Sequence[Mapping[str, Value]]) -> list[Parameter]:
    """Return the parameters with ranges that take in all values found: hyperband's resource may lie outside its own."""
    return [parameter if parameter.values else _widened(parameter, found) for parameter in parameters]


def _widened(parameter: Parameter, found: Sequence[Mapping[str, Value]]) -> Parameter:
    ends = [end for end in (parameter.min, parameter.max) if end is not None]
    values = [*ends, *(float(each[parameter.name]) for each in found)]
    return replace(parameter, min=min(values), max=max(values))


def plain_distributions(parameters: Sequence[Parameter]) -> dict[str, "BaseDistribution"]:
    """Return distributions that hold the parameters' own values, whatever they were drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for parameter in parameters:
        log = is_logarithmic(parameter)
        if parameter.values:
            found[parameter.name] = CategoricalDistribution(parameter.values)
            continue
        assert parameter.min is not None and parameter.max is not None, "the experiment has been checked"
        if parameter.type == "int":
            found[parameter.name] = IntDistribution(int(parameter.min), int(parameter.max), log=log)
        else:
            found[parameter.name] = FloatDistribution(parameter.min, parameter.max, log=log)
    return found
