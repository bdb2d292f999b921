"""The grid: all combinations of all values, in the order in which parameters and values are declared."""

import itertools
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

from ropewalk.tuning.spec import Parameter, Value


def grid(parameters: Sequence[Parameter]) -> Iterator[dict[str, Value]]:
    """Yield every combination, the last parameter's values changing fastest."""
    names = [parameter.name for parameter in parameters]
    for values in itertools.product(*(grid_values(parameter) for parameter in parameters)):
        yield dict(zip(names, values, strict=True))


def grid_values(parameter: Parameter) -> list[Value]:
    """Return the values of one parameter from its least up; steps are added as decimals, so 0.1 + 0.2 gives 0.3."""
    if parameter.values:
        return list(parameter.values)
    low, step = _decimal(parameter.min), _decimal(parameter.step or 1)
    values = [low + place * step for place in range(_count(parameter))]
    return [int(value) if parameter.type == "int" else float(value) for value in values]


def grid_size(parameters: Sequence[Parameter]) -> int:
    """Return how many combinations there are; 0 when a range makes no sense."""
    return math.prod(len(parameter.values) or _count(parameter) for parameter in parameters)


def _count(parameter: Parameter) -> int:
    step = _decimal(parameter.step or 1)
    if step <= 0:
        return 0
    return max(0, int((_decimal(parameter.max) - _decimal(parameter.min)) / step) + 1)


def _decimal(value: float | None) -> Decimal:
    return Decimal(repr(value))
