"""What a compiled pipeline says, as facts that can be compared one by one: nothing of the YAML is left out."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.launch.compare.change import BEHAVIOUR, BREAKING, COSMETIC
from ropewalk.launch.lint.document import Document

PARAMETER, ARTIFACT, OUTPUT, TASK, STEP, COMPONENT, PIPELINE, RUN = (
    *("parameter", "input artifact", "output", "task", "step", "component", "pipeline", "run"),
)
_TEXT_AMOUNT = re.compile(r"^resource([A-Z])")
_TEXTS = {"description", "displayName"}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One property of a subject."""

    value: Any
    """As in the YAML."""
    weight: str = BEHAVIOUR
    """How much it matters when it changes."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Something that has a name: a parameter, a task, a step."""

    kind: str
    """One of the kinds above."""
    name: str
    """Its name; a task's has its graph before it: "exit-handler-1/train-model"."""
    facts: Mapping[str, Fact]
    """Its properties by name."""
    added: str = BEHAVIOUR
    """How much it matters when it comes anew."""
    removed: str = BEHAVIOUR
    """How much it matters when it goes."""

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by."""
        return self.kind, self.name


def facts_of(document: Document) -> dict[tuple[str, str], Subject]:
    """Return every subject of the pipeline by kind and name."""
    found = (
        *_pipeline(document),
        *_interface(document.spec["root"]),
        *_tasks(document),
        *_components(document),
        *_steps(document),
    )
    return {subject.key: subject for subject in found}


def _pipeline(document: Document) -> Iterator[Subject]:
    info, spec = document.spec["pipelineInfo"], document.spec
    facts = {"name": Fact(value=info["name"], weight=BREAKING)}
    facts |= {name: Fact(value=value, weight=COSMETIC) for name, value in info.items() if name != "name"}
    taken = {"pipelineInfo", "root", "components", "deploymentSpec", "sdkVersion"}
    facts["sdkVersion"] = Fact(value=spec.get("sdkVersion"), weight=COSMETIC)
    facts |= {name: Fact(value=value) for name, value in spec.items() if name not in taken}
    facts |= _rest(spec["root"], {"dag", "inputDefinitions", "outputDefinitions"})
    facts |= _rest(spec["deploymentSpec"], {"executors"})
    facts |= {f"outputs.{name}": Fact(value=value) for name, value in spec["root"]["dag"].get("outputs", {}).items()}
    yield Subject(kind=PIPELINE, name="itself", facts=facts)
    run = {name: Fact(value=value) for name, value in document.kubernetes.get("pipelineConfig", {}).items()}
    run |= _rest(document.kubernetes, {"pipelineConfig", "deploymentSpec"})
    yield Subject(kind=RUN, name="settings", facts=run)


def _interface(root: Mapping[str, Any]) -> Iterator[Subject]:
    given = root.get("inputDefinitions", {})
    for kind, entries in ((PARAMETER, given.get("parameters", {})), (ARTIFACT, given.get("artifacts", {}))):
        for name, entry in entries.items():
            required = not entry.get("isOptional", False)
            facts = {
                "type": Fact(value=entry.get("parameterType") or entry.get("artifactType"), weight=BREAKING),
                **({"default": Fact(value=entry["defaultValue"])} if "defaultValue" in entry else {}),
                # Whoever gave nothing must give something now; the other way round nothing breaks.
                "required": Fact(value=required, weight=BREAKING if required else BEHAVIOUR),
                **_rest(entry, {"parameterType", "artifactType", "defaultValue", "isOptional"}),
            }
            yield Subject(
                kind=kind, name=name, facts=facts, added=BREAKING if required else BEHAVIOUR, removed=BREAKING
            )
    outputs = root.get("outputDefinitions", {})
    for name, entry in {**outputs.get("parameters", {}), **outputs.get("artifacts", {})}.items():
        kind_of = entry.get("parameterType") or entry.get("artifactType")
        facts = {"type": Fact(value=kind_of, weight=BREAKING), **_rest(entry, {"parameterType", "artifactType"})}
        yield Subject(kind=OUTPUT, name=name, facts=facts, removed=BREAKING)


def _tasks(document: Document) -> Iterator[Subject]:
    for task in document.tasks():
        graph = "" if task.place[0] == "root" else f"{str(task.place[1]).removeprefix('comp-')}/"
        inputs = task.spec.get("inputs", {})
        facts = {
            "component": Fact(value=task.component.removeprefix("comp-")),
            "runs after": Fact(value=sorted(task.spec.get("dependentTasks", []))),
            **{
                f"input {name}": Fact(value=_wire(source))
                for kind in ("parameters", "artifacts")
                for name, source in inputs.get(kind, {}).items()
            },
            "shown name": Fact(value=task.spec.get("taskInfo", {}).get("name"), weight=COSMETIC),
            "caching": Fact(value=task.spec.get("cachingOptions", {})),
            "retries": Fact(value=task.spec.get("retryPolicy", {})),
            "condition": Fact(value=task.spec.get("triggerPolicy", {})),
            **_rest(
                task.spec,
                {
                    "componentRef",
                    "dependentTasks",
                    "inputs",
                    "taskInfo",
                    "cachingOptions",
                    "retryPolicy",
                    "triggerPolicy",
                },
            ),
        }
        yield Subject(kind=TASK, name=f"{graph}{task.name}", facts=facts)


def _components(document: Document) -> Iterator[Subject]:
    for name, component in document.spec.get("components", {}).items():
        facts = dict(_leaves(component, skipped={"dag"}))
        for output, value in component.get("dag", {}).get("outputs", {}).items():
            facts[f"outputs.{output}"] = Fact(value=value)
        yield Subject(kind=COMPONENT, name=name.removeprefix("comp-"), facts=facts)


def _steps(document: Document) -> Iterator[Subject]:
    pods = dict(document.kubernetes.get("deploymentSpec", {}).get("executors", {}))
    for name, executor in document.spec["deploymentSpec"].get("executors", {}).items():
        container = executor.get("container", {})
        facts = {
            "image": Fact(value=container.get("image")),
            "code": Fact(value=container.get("command", [])),
            "arguments": Fact(value=container.get("args", [])),
            **{f"variable {one['name']}": Fact(value=one.get("value")) for one in container.get("env", [])},
            **_resources(container.get("resources", {})),
            **_rest(container, {"image", "command", "args", "env", "resources"}),
            **_rest(executor, {"container"}),
            **_pod(pods.get(name, {})),
        }
        yield Subject(kind=STEP, name=name.removeprefix("exec-"), facts=facts)


def _wire(source: Mapping[str, Any]) -> Any:
    """Return where an input comes from, in short: "train-model.model", "input epochs", or a constant as JSON."""
    more: dict[Any, Any] = {}
    rest: dict[Any, Any] = {}
    short: Any
    match source:
        case {"taskOutputArtifact": {"producerTask": str(task), "outputArtifactKey": str(key), **more}, **rest}:
            short = f"{task}.{key}"
        case {"taskOutputParameter": {"producerTask": str(task), "outputParameterKey": str(key), **more}, **rest}:
            short = f"{task}.{key}"
        case {"componentInputParameter": str(name), **rest} | {"componentInputArtifact": str(name), **rest}:
            short = f"input {name.removeprefix('pipelinechannel--')}"
        case {"runtimeValue": {"constant": value, **more}, **rest}:
            short = {"constant": value} if isinstance(value, dict | list) else json.dumps(value, ensure_ascii=False)
        case _:
            return source
    return source if more or rest else short


def _resources(given: Mapping[str, Any]) -> dict[str, Fact]:
    """Return resources, each once: KFP writes numbers for old servers beside the texts."""
    return {
        f"resources {_TEXT_AMOUNT.sub(lambda found: found[1].lower(), key)}": Fact(value=value)
        for key, value in given.items()
        if f"resource{key[0].upper()}{key[1:]}" not in given
    }


def _pod(pod: Mapping[str, Any]) -> dict[str, Fact]:
    """Return a pod's settings; secrets by their variables and mounts by their paths, because lists are long."""
    facts = {f"pod {key}": Fact(value=value) for key, value in pod.items() if key not in ("secretAsEnv", "pvcMount")}
    for entry in pod.get("secretAsEnv", []):
        rest = {
            key: value for key, value in entry.items() if key not in ("keyToEnv", "optional", "secretNameParameter")
        }
        more = {"optional": True} if entry.get("optional") else {}
        if "secretName" not in entry:
            more["secretNameParameter"] = entry.get("secretNameParameter")
        for pair in entry.get("keyToEnv", []):
            facts[f"secret variable {pair['envVar']}"] = Fact(value={**rest, **more, "key": pair["secretKey"]})
    for entry in pod.get("pvcMount", []):
        rest = {key: value for key, value in entry.items() if key not in ("mountPath", "pvcNameParameter")}
        more = {} if "constant" in entry else {"pvcNameParameter": entry.get("pvcNameParameter")}
        facts[f"claim at {entry['mountPath']}"] = Fact(value={**rest, **more})
    return facts


def _leaves(component: Mapping[str, Any], *, skipped: set[str], prefix: str = "") -> Iterator[tuple[str, Fact]]:
    for name, value in component.items():
        if name in skipped:
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, skipped=set(), prefix=f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", Fact(value=value, weight=COSMETIC if name in _TEXTS else BEHAVIOUR)


def _rest(entry: Mapping[str, Any], taken: set[str]) -> dict[str, Fact]:
    return {
        name: Fact(value=value, weight=COSMETIC if name in _TEXTS else BEHAVIOUR)
        for name, value in entry.items()
        if name not in taken
    }
