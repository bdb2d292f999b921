"""Settings from the outside (JSON, forms, command lines) into frozen dataclasses, with errors that name the field."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

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
    config, problems = _parse(config_type, values, section)
    refuse(problems)
    return cast(Config, config)


def find_problems(config_type: type[Any], values: Mapping[str, Any], *, section: str = "") -> list[str]:
    """Return what `parse_config` would say of each field that is wrong, [] when all are right."""
    return _parse(config_type, values, section)[1]


def refuse(problems: list[str]) -> None:
    """Raise a ConfigError that lists all of `problems`, unless there are none."""
    if problems:
        raise ConfigError("The configuration is wrong:\n  - " + "\n  - ".join(problems))


def _parse(config_type: type[Config], values: Mapping[str, Any], section: str) -> tuple[Config | None, list[str]]:
    from pydantic import TypeAdapter, ValidationError

    prefix = f"{section}." if section else ""
    problems = list(_unknown(config_type, values, prefix))
    known = {field.name for field in fields(config_type)}  # type: ignore[arg-type]
    try:
        config = TypeAdapter(config_type).validate_python({name: values[name] for name in values if name in known})
    except ValidationError as error:
        return None, problems + [_explain(prefix, detail) for detail in error.errors(include_url=False)]
    except ConfigError as error:
        return None, [*problems, f"{prefix}{error}"]
    return config, problems


def _unknown(annotation: Any, value: Any, prefix: str) -> Iterator[str]:
    """Yield what is wrong with names, at any depth: pydantic drops what a dataclass does not know."""
    if isinstance(annotation, type) and is_dataclass(annotation) and isinstance(value, Mapping):
        types = get_type_hints(annotation)
        for name, entry in value.items():
            if name in types:
                yield from _unknown(types[name], entry, f"{prefix}{name}.")
            else:
                hint = nearest(str(name), types)
                yield f"{prefix}{name}: there is no such setting.{hint} Known: {', '.join(sorted(types))}."
        return
    for inner, entry, place in _parts(annotation, value):
        yield from _unknown(inner, entry, f"{prefix}{place}")


def _parts(annotation: Any, value: Any) -> Iterator[tuple[Any, Any, str]]:
    """Yield type, value and place of each part of `value`, a union's choices or what a tuple or mapping holds."""
    kind, inner = get_origin(annotation), get_args(annotation)
    if kind in (UnionType, Union):
        yield from ((choice, value, "") for choice in inner)
    elif kind in (tuple, list) and isinstance(value, list | tuple):
        yield from ((inner[0], entry, f"{number}.") for number, entry in enumerate(value))
    elif kind in (dict, Mapping) and isinstance(value, Mapping):
        yield from ((inner[1], entry, f"{name}.") for name, entry in value.items())


def _explain(prefix: str, detail: Any) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if isinstance(detail.get("ctx", {}).get("error"), ConfigError):
        return f"{prefix}{f'{place}.' if place else ''}{detail['ctx']['error']}"
    if detail["type"] == "missing":
        return f"{prefix}{place}: is missing, and has no default."
    if detail["type"] == "string_type" and isinstance(detail["input"], bool | int | float):
        return f"{prefix}{place}={detail['input']!r}: need text. In YAML and JSON, put it in quotes."
    return f"{prefix}{place}={detail['input']!r}: {detail['msg']}."
