"""Reads compiled KFP YAML: a pipeline's or component's parameters, artifacts, tasks and images."""

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import yaml

from ropewalk.errors import ConfigError

_TYPES = {
    "STRING": "str",
    "NUMBER_INTEGER": "int",
    "NUMBER_DOUBLE": "float",
    "BOOLEAN": "bool",
    "STRUCT": "dict",
    "LIST": "list",
}
_INJECTED = {"TASK_FINAL_STATUS", "TASK_CONFIG"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input or output: a parameter, or an artifact when its type has an upper-case name such as Dataset."""

    name: str
    type: str
    """str, int, float, bool, dict or list; for an artifact its class: Dataset, Model, Metrics, HTML, ..."""
    description: str = ""
    default: Any = None
    """What is used when nothing is given; None when there is no default."""
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Specification:
    """What a compiled YAML says of itself."""

    name: str
    description: str
    inputs: list[Field]
    outputs: list[Field]
    tasks: list[str]
    """Names of the steps that run something, each after those that it needs; exit steps come last."""
    images: list[str]

    @property
    def parameters(self) -> list[Field]:
        """The inputs that a person gives: all but the artifacts."""
        return [field for field in self.inputs if field.type in _TYPES.values()]


def read_specification(text: str, *, source: str) -> Specification:
    """Return what the compiled YAML `text`, read from `source`, describes.

    Raises:
        ConfigError: It is not a compiled KFP pipeline or component.
    """
    try:
        document = next(iter(yaml.load_all(text, Loader=_LOADER)), None)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {error}") from error
    if not isinstance(document, dict) or not {"pipelineInfo", "root", "deploymentSpec"} <= document.keys():
        raise ConfigError(
            f"{source} is not a compiled KFP pipeline: it has no pipelineInfo, root and deploymentSpec. "
            "Compile it with `python compile.py`, or with `kfp dsl compile`."
        )
    return describe(document)


def describe(document: dict[str, Any]) -> Specification:
    """Return what a compiled pipeline or component, already parsed, says of itself."""
    components = document.get("components", {})
    executors = document["deploymentSpec"].get("executors", {}).values()
    return Specification(
        name=document["pipelineInfo"]["name"],
        description=document["pipelineInfo"].get("description", ""),
        inputs=list(_fields(document["root"].get("inputDefinitions", {}))),
        outputs=list(_fields(document["root"].get("outputDefinitions", {}))),
        tasks=list(_leaf_tasks(document["root"]["dag"], components)),
        images=sorted({executor["container"]["image"] for executor in executors if "container" in executor}),
    )


def _fields(definitions: dict[str, Any]) -> Iterator[Field]:
    for name, entry in definitions.get("artifacts", {}).items():
        title = entry["artifactType"].get("schemaTitle", "system.Artifact")
        yield Field(
            name=name,
            type=title.removeprefix("system."),
            description=entry.get("description", ""),
            required=not entry.get("isOptional", False),
        )
    for name, entry in definitions.get("parameters", {}).items():
        if entry["parameterType"] not in _INJECTED:
            yield _parameter(name, entry)


def _parameter(name: str, entry: dict[str, Any]) -> Field:
    kind = _TYPES[entry["parameterType"]]
    default = entry.get("defaultValue")
    return Field(
        name=name,
        type=kind,
        description=entry.get("description", ""),
        default=int(default) if kind == "int" and default is not None else default,
        required=not entry.get("isOptional", False),
    )


def _leaf_tasks(dag: dict[str, Any], components: dict[str, Any]) -> Iterator[str]:
    tasks = dag["tasks"]
    order = TopologicalSorter({name: task.get("dependentTasks", []) for name, task in tasks.items()})
    for name in order.static_order():
        component_name = tasks[name]["componentRef"]["name"]
        component = components[component_name]
        if "dag" in component:
            yield from _leaf_tasks(component["dag"], components)
        else:
            yield component_name.removeprefix("comp-")
