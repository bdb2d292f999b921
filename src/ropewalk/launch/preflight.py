"""Checks a pipeline's configuration on this machine, with the function that its own first step calls."""

import inspect
from typing import Any

from ropewalk.launch.specification import Specification

_CHECKING_TASK = "check-config"


def check_before_start(specification: Specification, arguments: dict[str, Any]) -> None:
    """Return when the pipeline has no check-config step, or when that step would accept `arguments`.

    Raises:
        ConfigError: A setting is unknown, of a wrong type or out of range.
    """
    if _CHECKING_TASK not in specification.tasks:
        return
    from ropewalk.check.check import check

    defaults = {field.name: field.default for field in specification.parameters}
    given = {**defaults, **arguments}
    check(**{name: given[name] for name in inspect.signature(check).parameters if name in given})
