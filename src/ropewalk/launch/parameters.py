"""Pipeline parameters: from a command line's text to typed values, refused before anything starts."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ropewalk.errors import ConfigError, nearest
from ropewalk.launch.specification import Field, Specification

MAX_BYTES = 100_000
"""Linux refuses to start a step whose inputs take more than 128 KiB as JSON."""

_EXACT = 2**53
"""KFP passes every number as a double."""
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def merge_parameters(flags: Mapping[str, str], pairs: Iterable[str]) -> dict[str, str]:
    """Return `flags` with the `name=value` texts of `pairs` added.

    Raises:
        ConfigError: A pair has no "=", or a parameter comes twice.
    """
    values = dict(flags)
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ConfigError(f"--param {pair!r} is not of the form NAME=VALUE, such as --param epochs=20.")
        if name in values:
            raise ConfigError(f"{name} is given twice ({values[name]!r} and {value!r}): give it once.")
        values[name] = value
    return values


def parse_parameters(texts: Mapping[str, str], specification: Specification) -> dict[str, Any]:
    """Return the values of `texts` in the types that the pipeline declares.

    Raises:
        ConfigError: Names every parameter that is unknown, missing, of a wrong type, too long, or garbled by KFP.
    """
    fields = {field.name: field for field in specification.parameters}
    problems = [
        f"{name}: the pipeline {specification.name!r} has no such parameter.{nearest(name, fields)} "
        f"Known: {', '.join(fields) or 'none'}."
        for name in texts
        if name not in fields
    ]
    problems += [
        f"{name}: this parameter has no default and must be given: --{name} {placeholder(field)}."
        for name, field in fields.items()
        if field.default is None and name not in texts
    ]
    values: dict[str, Any] = {}
    for name in fields.keys() & texts.keys():
        try:
            values[name] = _parse(fields[name], texts[name])
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("The parameters are wrong; nothing was started:\n  - " + "\n  - ".join(sorted(problems)))
    return {name: values[name] for name in fields if name in values}


def placeholder(field: Field) -> str:
    """Return what stands for the value in a usage line, such as INTEGER."""
    return {"str": "TEXT", "int": "INTEGER", "float": "NUMBER", "bool": "true|false"}.get(field.type, "JSON|@FILE")


def _parse(field: Field, text: str) -> Any:
    if field.type in ("dict", "list"):
        text = _contents(field.name, text)
    _refuse_what_kfp_garbles(field.name, text)
    match field.type:
        case "str":
            return text
        case "int" | "float":
            return _number(field, text)
        case "bool":
            if text.lower() not in _BOOLEANS:
                raise ConfigError(f"{field.name}={text!r}: need true or false.")
            return _BOOLEANS[text.lower()]
        case _:
            return _json(field, text)


def _number(field: Field, text: str) -> int | float:
    need = "a whole number" if field.type == "int" else "a finite number"
    try:
        number = int(text) if field.type == "int" else float(text)
    except ValueError as error:
        raise ConfigError(f"{field.name}={text!r}: need {need}, such as {field.default or 1}.") from error
    if not abs(number) <= _EXACT and not (field.type == "float" and math.isfinite(number)):
        raise ConfigError(f"{field.name}={text!r}: need {need} that KFP can pass on exactly (at most 2**53).")
    return number


def _json(field: Field, text: str) -> Any:
    kind, example = (dict, '{"training": {"dropout": 0.3}}') if field.type == "dict" else (list, "[1, 2]")
    try:
        value = json.loads(text, parse_constant=_refuse_number, parse_int=_exact_integer)
    except ValueError as error:
        raise ConfigError(
            f"{field.name}={_short(text)}: not valid JSON ({error}). Write for example '{example}', or @file.json."
        ) from error
    if not isinstance(value, kind):
        raise ConfigError(
            f"{field.name}={_short(text)}: need a JSON {'object' if kind is dict else 'array'}, such as '{example}'."
        )
    return value


def _exact_integer(digits: str) -> int:
    number = int(digits)
    if abs(number) > _EXACT:
        raise ValueError(f"{digits} is too large: KFP passes integers on exactly up to 2**53")
    return number


def _refuse_number(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


def _contents(name: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    file = Path(text[1:])
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{name}: cannot read the file {str(file)!r}: {reason}.") from error


def _refuse_what_kfp_garbles(name: str, text: str) -> None:
    size = len(text.encode())
    if size > MAX_BYTES:
        raise ConfigError(
            f"{name}: {size:,} bytes are more than a parameter can hold ({MAX_BYTES:,}): put them into a file."
        )
    for mark in ("{{$", "/kfp-workspace"):
        if mark in text:
            raise ConfigError(
                f"{name}={_short(text)}: KFP would replace {mark!r} inside a value, so it cannot be passed on."
            )


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
