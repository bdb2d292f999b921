"""Settings from the outside (JSON, forms, command lines) into frozen dataclasses, with errors that name the field."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ropewalk.errors import ConfigError, nearest

Config = TypeVar("Config")


def parse_config(config_type: type[Config], values: Mapping[str, Any], *, section: str = "") -> Config:
    """Return `values` as a `config_type`, a frozen dataclass, with defaults for what is absent.

    Whole floats count as integers, because KFP delivers every number inside JSON as a float.

    Args:
        config_type: The dataclass.
        values: Field name to value.
        section: Where the values stand, for the message: "training" gives "training.epochs".

    Raises:
        ConfigError: Names every field that is unknown (with the nearest known one) or has a wrong type or value.
    """
    from pydantic import TypeAdapter, ValidationError

    prefix = f"{section}." if section else ""
    known = [field.name for field in fields(config_type)]  # type: ignore[arg-type]
    problems = [
        f"{prefix}{name}: there is no such setting.{nearest(name, known)} Known: {', '.join(sorted(known))}."
        for name in values
        if name not in known
    ]
    try:
        config = TypeAdapter(config_type).validate_python({name: values[name] for name in known if name in values})
    except ValidationError as error:
        problems += [_explain(prefix, detail) for detail in error.errors(include_url=False)]
    except ConfigError as error:
        problems.append(f"{prefix}{error}")
    if problems:
        raise ConfigError("The configuration is wrong:\n  - " + "\n  - ".join(problems))
    return config


def _explain(prefix: str, detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if isinstance(detail.get("ctx", {}).get("error"), ConfigError):
        return f"{prefix}{detail['ctx']['error']}"
    return f"{prefix}{place}={detail['input']!r}: {detail['msg']}."
