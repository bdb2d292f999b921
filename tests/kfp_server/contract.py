"""KFP's published OpenAPI document, against which every request and every response is held."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

PUBLISHED = Path(__file__).parents[3] / "shared" / "contracts" / "kfp" / "kfp_api_v2beta1.swagger.json"
ABSENT = f"KFP's OpenAPI document is not at {PUBLISHED}"
_OPEN = {"googleRpcStatus", "protobufAny"}
"""Definitions that may hold what the document does not name."""


def present() -> bool:
    """Return whether there is a document to hold anything against."""
    return PUBLISHED.exists()


def request_problems(
    method: str, path: str, query: Mapping[str, list[str]], body: Any, files: set[str]
) -> tuple[str, list[str]]:
    """Return the operation that is asked for, "" when there is none, and what is wrong with the request."""
    operation = _operation(method, path)
    if operation is None:
        return "", [f"{method} {path}: no operation of the document"]
    parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
    known = {name for name, parameter in parameters.items() if parameter["in"] == "query"}
    problems = [f"unknown query parameter {name!r}" for name in query.keys() - known]
    problems += [f"query parameter {name!r} is given twice" for name, values in query.items() if len(values) > 1]
    for name in query.keys() & known:
        problems += _query_problems(parameters[name], query[name][0])
    problems += list(_body_problems(parameters.values(), body, files))
    return operation["operationId"], problems


def response_problems(operation_id: str, status: int, body: Any) -> list[str]:
    """Return what is wrong with the answer to an operation."""
    (operation,) = (each for each in _operations().values() if each["operationId"] == operation_id)
    responses = operation["responses"]
    return _problems(body, responses.get(str(status), responses["default"])["schema"])


def _operation(method: str, path: str) -> dict[str, Any] | None:
    exact = _operations().get((method, path))
    if exact:
        return exact
    for (verb, template), operation in _operations().items():
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/:]+", re.escape(template))
        if verb == method and re.fullmatch(pattern, path):
            return operation
    return None


def _query_problems(parameter: Mapping[str, Any], text: str) -> list[str]:
    if "enum" in parameter and text not in parameter["enum"]:
        return [f"{parameter['name']}={text!r}: none of {parameter['enum']}"]
    if parameter.get("type") == "integer" and not text.lstrip("-").isdigit():
        return [f"{parameter['name']}={text!r}: not an integer"]
    return []


def _body_problems(parameters: Any, body: Any, files: set[str]) -> Iterator[str]:
    places = {parameter["in"] for parameter in parameters}
    if body is not None and "body" not in places:
        yield "a body where none belongs"
    for parameter in parameters:
        if parameter["in"] == "body":
            if body is None:
                yield "the body is missing"
            else:
                yield from _problems(body, parameter["schema"], asked=True)
        if parameter["in"] == "formData" and parameter["name"] not in files:
            yield f"the file {parameter['name']!r} is missing"


def _problems(body: Any, schema: Mapping[str, Any], *, asked: bool = False) -> list[str]:
    whole = {**_closed(schema), "definitions": _document()["definitions"]}
    if asked:
        whole = _with_numbers(whole)
    validator = jsonschema.Draft4Validator(whole, format_checker=_FORMATS)
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"[:400] for error in validator.iter_errors(body)
    ]


@cache
def _document() -> dict[str, Any]:
    document = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    definitions = document["definitions"]
    document["definitions"] = {name: each if name in _OPEN else _closed(each) for name, each in definitions.items()}
    return document


@cache
def _operations() -> dict[tuple[str, str], dict[str, Any]]:
    paths = _document()["paths"]
    return {(verb.upper(), path): each for path, verbs in paths.items() for verb, each in verbs.items()}


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that admits no field which it does not name: the server drops those silently."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    closed = dict(schema)
    if "properties" in schema and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
        closed["properties"] = {name: _closed(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    return closed


def _with_numbers(schema: Any) -> Any:
    """Return a schema whose 64-bit integers may come as numbers, too: protobuf's JSON reads both and writes strings."""
    if isinstance(schema, list):
        return [_with_numbers(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int64":
        return {"type": ["string", "integer"], "format": "int64"}
    return {name: _with_numbers(each) for name, each in schema.items()}


_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time")
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value)
    )


@_FORMATS.checks("int64")
def _is_long(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.lstrip("-").isdigit())
