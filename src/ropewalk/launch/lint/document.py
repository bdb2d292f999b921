"""A compiled pipeline, as rules look at it: executors, tasks, platform, and the line of each place."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from ropewalk.launch.specification import read_specification

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLATFORM = "platforms"
Place = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of one graph."""

    name: str
    """Its name in the graph."""
    place: Place
    """Where it is."""
    spec: dict[str, Any]
    """The task."""
    component: str
    """Name of its component: "comp-train-model"."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """One executor that is a container."""

    step: str
    """Name of the step, as KFP made it: "train-model", "train-model-2"."""
    place: Place
    """Where it is."""
    spec: dict[str, Any]
    """image, command, args, env, resources."""
    pod: dict[str, Any]
    """Its Kubernetes settings; {} when there are none."""
    hands_on_resources: bool
    """Whether KFP gives its resources to the job that it launches, and not to its own pod."""


class Document:
    """A compiled pipeline or component."""

    def __init__(self, text: str, *, source: str) -> None:
        """Read `text`, which came from `source`.

        Raises:
            ConfigError: It is not a compiled KFP pipeline or component.
        """
        read_specification(text, source=source)
        self.text = text
        self.source = source
        documents = [each for each in yaml.load_all(text, Loader=_LOADER) if each]
        self.spec: dict[str, Any] = documents[0]
        self.platform: dict[str, Any] = documents[1] if len(documents) > 1 else {}

    @property
    def kubernetes(self) -> dict[str, Any]:
        """What the second document says for Kubernetes; {} when there is none."""
        found: dict[str, Any] = self.platform.get(_PLATFORM, {}).get("kubernetes", {})
        return found

    @cached_property
    def containers(self) -> list[Container]:
        """Every executor that is a container."""
        pods = self.kubernetes.get("deploymentSpec", {}).get("executors", {})
        handing_on = {
            component.get("executorLabel")
            for component in self.spec.get("components", {}).values()
            for entry in component.get("taskConfigPassthroughs", [])
            if entry.get("field") == "RESOURCES" and not entry.get("applyToTask")
        }
        return [
            Container(
                step=name.removeprefix("exec-"),
                place=("deploymentSpec", "executors", name, "container"),
                spec=executor["container"],
                pod=pods.get(name, {}),
                hands_on_resources=name in handing_on,
            )
            for name, executor in self.spec["deploymentSpec"].get("executors", {}).items()
            if "container" in executor
        ]

    @cached_property
    def graphs(self) -> list[tuple[Place, dict[str, Any]]]:
        """Every graph: the root, and the components that are graphs; with their places."""
        components = self.spec.get("components", {})
        found: list[tuple[Place, dict[str, Any]]] = [(("root",), self.spec["root"])]
        return found + [(("components", name), one) for name, one in components.items() if "dag" in one]

    def tasks(self) -> Iterator[Task]:
        """Yield every task of every graph."""
        for place, graph in self.graphs:
            for name, task in graph["dag"].get("tasks", {}).items():
                yield Task(
                    name=name,
                    place=(*place, "dag", "tasks", name),
                    spec=task,
                    component=task["componentRef"]["name"],
                )

    def line(self, place: Place) -> int:
        """Return the line of `place`, from 1; of the nearest place around it that is in the text."""
        node = self._roots[1 if place[:1] == (_PLATFORM,) and len(self._roots) > 1 else 0]
        line = node.start_mark.line + 1
        for part in place:
            found = _child(node, part)
            if found is None:
                break
            line, node = found
        return line

    @cached_property
    def _roots(self) -> list[yaml.Node]:
        return [node for node in yaml.compose_all(self.text, Loader=_LOADER) if node is not None]


def texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield every text inside `value`, which is at `place`, with its own place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from texts(entry, (*place, name))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from texts(entry, (*place, number))


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
