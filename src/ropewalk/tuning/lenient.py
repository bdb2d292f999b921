"""Plain values into frozen dataclasses, going on after an error so that all of them are found at once."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ropewalk.errors import nearest
from ropewalk.tuning.problems import Problem

Read = TypeVar("Read")


def read_dataclass(cls: type[Read], values: Any, path: str, problems: list[Problem]) -> Read:
    """Return a `cls` made of `values`; what is wrong goes to `problems`, and a blank stands in its place.

    Numbers may be texts, as Katib writes them, and whole numbers floats, as KFP's JSON has them.
    """
    if not isinstance(values, Mapping):
        problems.append(Problem(path or "experiment", f"{values!r} is no object with fields."))
        values = {}
    prefix = f"{path}." if path else ""
    hints = get_type_hints(cls)
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            text = f"there is no such field.{nearest(str(name), known)} Known: {', '.join(known)}."
            problems.append(Problem(f"{prefix}{name}", text))
    content = {}
    for field in fields(cls):  # type: ignore[arg-type]
        if field.name in values:
            content[field.name] = _convert(hints[field.name], values[field.name], f"{prefix}{field.name}", problems)
        elif field.default is MISSING and field.default_factory is MISSING:
            problems.append(Problem(f"{prefix}{field.name}", "it is missing."))
            content[field.name] = _blank(hints[field.name])
    return cls(**content)


def _convert(hint: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if is_dataclass(hint):
        return read_dataclass(hint, value, path, problems)  # type: ignore[arg-type]
    if origin in (types.UnionType, Union):
        return _convert_union(arguments, value, path, problems)
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_convert(arguments[0], each, f"{path}[{i}]", problems) for i, each in enumerate(value))
        return _wrong(hint, value, path, "a list", problems)
    if origin is dict:
        if isinstance(value, Mapping):
            return {str(key): _convert(arguments[1], each, f"{path}.{key}", problems) for key, each in value.items()}
        return _wrong(hint, value, path, "an object", problems)
    return _convert_plain(hint, value, path, problems)


def _convert_union(arguments: tuple[Any, ...], value: Any, path: str, problems: list[Problem]) -> Any:
    inner = [each for each in arguments if each is not types.NoneType]
    if value is None and len(inner) < len(arguments):
        return None
    if len(inner) == 1:
        return _convert(inner[0], value, path, problems)
    if isinstance(value, tuple(inner)):
        return value
    return _wrong(inner[-1], value, path, "a text or number", problems)


def _convert_plain(hint: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    if hint in (int, float):
        return _convert_number(hint, value, path, problems)
    if hint is bool:
        return value if isinstance(value, bool) else _wrong(hint, value, path, "true or false", problems)
    return value if isinstance(value, str) else _wrong(hint, value, path, "a text", problems)


def _convert_number(hint: Any, value: Any, path: str, problems: list[Problem]) -> Any:
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        number = None
    if number is None or (hint is int and not number.is_integer()):
        return _wrong(hint, value, path, "a whole number" if hint is int else "a number", problems)
    return hint(number)


def _wrong(hint: Any, value: Any, path: str, need: str, problems: list[Problem]) -> Any:
    problems.append(Problem(path, f"{value!r} is not {need}."))
    return _blank(hint)


def _blank(hint: Any) -> Any:
    if is_dataclass(hint):
        return read_dataclass(hint, {}, "", [])  # type: ignore[arg-type]
    origin = get_origin(hint) or hint
    if origin in (types.UnionType, Union):
        return None
    if origin is Literal:
        return ""
    return 1 if origin is int else origin()
