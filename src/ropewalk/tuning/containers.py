"""Where in a trial's resource the primary container is, and which line of shell it runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.tuning.spec import TrialTemplate

_SHELLS = ("sh", "bash")
_FIRST = ("Master", "Chief", "Launcher")
"""The replicas that hold a distributed job's metrics, in the words of the training operator's kinds."""


@dataclass(frozen=True)
class Container:
    """One primary container."""

    path: str
    """Where it stands in the manifest, like spec.template.spec.containers[0]."""
    spec: Mapping[str, Any]
    """Its Kubernetes fields; of a TrainJob, the trainer's."""

    @property
    def argv(self) -> list[Any]:
        """What it runs: command and args."""
        command, arguments = self.spec.get("command") or [], self.spec.get("args") or []
        return [*command, *arguments] if isinstance(command, list) and isinstance(arguments, list) else []

    @property
    def is_script(self) -> bool:
        """Whether it is `sh -c` or `bash -c`, the two that Katib's wrapping knows."""
        return len(self.argv) > 1 and self.argv[0] in _SHELLS and self.argv[1] == "-c"

    @property
    def line(self) -> str:
        """The line of shell that Katib makes of it: the script, or the words joined by blanks."""
        words = self.argv[2:] if self.is_script else self.argv
        return " ".join(str(word) for word in words)


def primary_containers(template: TrialTemplate) -> list[Container]:
    """Return the containers that have the primary name, the one of a master, chief or launcher first."""
    manifest = template.manifest
    if manifest.get("kind") == "TrainJob":
        spec = manifest.get("spec")
        trainer = spec.get("trainer") if isinstance(spec, Mapping) else None
        return [Container("spec.trainer", trainer)] if isinstance(trainer, Mapping) else []
    found = [each for each in _containers(manifest, "") if each.spec.get("name") == template.primary_container]
    return sorted(found, key=lambda each: not any(f".{word}." in each.path for word in _FIRST))


def _containers(node: Any, path: str) -> Iterator[Container]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            inner = f"{path}.{key}" if path else str(key)
            if key == "containers" and isinstance(value, list):
                for place, each in enumerate(value):
                    if isinstance(each, Mapping):
                        yield Container(f"{inner}[{place}]", each)
            else:
                yield from _containers(value, inner)
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from _containers(value, f"{path}[{place}]")
