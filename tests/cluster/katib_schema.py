"""Katib's published schema, against which every request is held."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from kubeflow_katib_api import models

PUBLISHED = Path(__file__).parents[3] / "shared" / "contracts" / "katib" / "katib_v1beta1.swagger.json"
_TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list}


def experiment_problems(body: Mapping[str, Any]) -> list[str]:
    """Return which fields of an Experiment are unknown or have a wrong type."""
    definitions, root = _definitions()
    return list(_problems(body, definitions[root], definitions, ""))


@cache
def _definitions() -> tuple[dict[str, Any], str]:
    """Return the schemas and the name of the Experiment's: as published, or those of the official models beside us."""
    if PUBLISHED.exists():
        return json.loads(PUBLISHED.read_text(encoding="utf-8"))["components"]["schemas"], "v1beta1.Experiment"
    schema = models.V1beta1Experiment.model_json_schema(by_alias=True)
    return schema["$defs"] | {"Experiment": schema}, "Experiment"


def _problems(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Iterator[str]:
    for inner in (schema, *schema.get("allOf", ()), *schema.get("anyOf", ())):
        if "$ref" in inner:
            schema = definitions[inner["$ref"].rpartition("/")[2]]
    expected = _TYPES.get(schema.get("type", ""))
    wrong_bool = isinstance(value, bool) and schema.get("type") != "boolean"
    if expected and (wrong_bool or not isinstance(value, expected)):
        yield f"{path}: Invalid value: {value!r}: must be of type {schema['type']}"
        return
    yield from (f"{path}.{name}: Required value" for name in schema.get("required", ()) if name not in value)
    for name, each, inner in _parts(value, schema):
        if inner is None:
            yield f'unknown field "{path}{name}"'
        else:
            yield from _problems(each, inner, definitions, f"{path}{name}")


def _parts(value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each part of a value, the part, and its schema, None for a field that there is not."""
    if isinstance(value, dict) and "properties" in schema:
        yield from ((f".{name}", each, schema["properties"].get(name)) for name, each in value.items())
    elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
        yield from ((f".{name}", each, schema["additionalProperties"]) for name, each in value.items())
    elif isinstance(value, list) and "items" in schema:
        yield from ((f"[{place}]", each, schema["items"]) for place, each in enumerate(value))
