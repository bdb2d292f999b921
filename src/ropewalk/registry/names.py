"""Names of registered models."""

import re

from ropewalk.errors import ConfigError

_LONGEST = 200
_FORBIDDEN = re.compile(r"[^\w .-]+")


def check_model_name(name: str) -> str:
    """Return `name` if every registry and URL can hold it.

    Raises:
        ConfigError: It is empty, too long, or has characters other than letters, digits, spaces, '.', '_' and '-'.
    """
    good = _FORBIDDEN.sub("-", name).strip(" .-")[:_LONGEST]
    if name and name == good:
        return name
    if not name.strip():
        raise ConfigError("The name of the registered model is empty. Give one, such as 'fraud-detector'.")
    reason = (
        f"it has {len(name)} characters, and {_LONGEST} are allowed"
        if len(name) > _LONGEST
        else "only letters, digits and '_' are allowed, and between them spaces, '.' and '-'"
    )
    raise ConfigError(
        f"{name[:_LONGEST]!r} cannot name a registered model: {reason}. Use {good or 'model'!r}, for instance."
    )
