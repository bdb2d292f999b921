"""Rules `limit-*`, `gpu-*` and `shm-*`: what a pod may use, and whether it gets the GPU that it is meant to have."""

from collections.abc import Callable, Iterator
from typing import Any

from ropewalk.launch.lint.document import Container, Document
from ropewalk.launch.lint.finding import ERROR, NOTE, WARNING, Finding
from ropewalk.launch.lint.rule import LintConfig, found
from ropewalk.launch.profiles.step_config import bytes_of

SHM = "/dev/shm"  # noqa: S108 - a mount, no temporary file


def check_limits(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield one finding for all steps without a limit of memory, and one for those without one of processor cores."""
    fix = "Set it for all steps at once, in a profile's defaults (docs/profiles.md), or on the task."
    without = _steps(document, lambda resources: not _amount(resources, "Memory"))
    if without:
        yield found(
            document,
            "limit-memory",
            WARNING,
            without[0].place,
            message=f"{_names(without)}: no limit of memory: a step can take all of its node's, and quotas refuse it.",
            fix=fix,
        )
    without = _steps(document, lambda resources: not _amount(resources, "Cpu"))
    if without:
        yield found(
            document,
            "limit-cpu",
            NOTE,
            without[0].place,
            message=f"{_names(without)}: no limit of processor cores.",
            fix=fix,
        )


def check_gpus(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each step that gets no GPU after all, or one without room in /dev/shm."""
    for container in document.containers:
        accelerator = container.spec.get("resources", {}).get("accelerator", {})
        if not accelerator:
            continue
        place = (*container.place, "resources", "accelerator")
        count = accelerator.get("resourceCount", accelerator.get("count", "0"))
        kind = accelerator.get("resourceType", accelerator.get("type", ""))
        if not kind or str(count) in ("", "0"):
            yield found(
                document,
                "gpu-incomplete",
                ERROR,
                place,
                message=f"{container.step}: kind {kind!r} and count {str(count)!r}: the pod gets no GPU, silently.",
                fix="Set both set_accelerator_type and set_accelerator_limit, or gpus in a profile.",
            )
        if not _shared_memory(container) and not container.hands_on_resources:
            yield found(
                document,
                "gpu-shm",
                WARNING,
                place,
                message=f"{container.step} has a GPU and the default 64 MiB of /dev/shm: data loaders with workers die "
                "there with 'bus error'.",
                fix="Set shared_memory in a profile, or mount a Memory emptyDir at /dev/shm.",
            )


def check_shared_memory(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each step whose /dev/shm alone fills its limit of memory."""
    for container in document.containers:
        limit = _amount(container.spec.get("resources", {}), "Memory")
        mount = _shared_memory(container)
        size = str(mount.get("sizeLimit", "")) if mount else ""
        if limit and size and not limit.startswith("{{") and bytes_of(size) >= bytes_of(limit):
            yield found(
                document,
                "shm-memory",
                ERROR,
                (*container.place, "resources"),
                message=f"{container.step}: /dev/shm of {size} counts against the limit of {limit}: the pod is killed "
                "when it fills.",
                fix="Raise the limit of memory above /dev/shm and what the step needs.",
            )


def _steps(document: Document, lacks: Callable[[dict[str, Any]], bool]) -> list[Container]:
    # Limits of a step that hands them on are its job's: its own pod cannot be given any.
    own = [container for container in document.containers if not container.hands_on_resources]
    return [container for container in own if lacks(container.spec.get("resources", {}))]


def _amount(resources: dict[str, Any], name: str) -> str:
    number = resources.get(f"{name.lower()}Limit")
    return str(resources.get(f"resource{name}Limit") or ("" if number is None else f"{round(float(number) * 1e9)}"))


def _shared_memory(container: Container) -> dict[str, Any] | None:
    return next((mount for mount in container.pod.get("emptyDirMounts", []) if mount.get("mountPath") == SHM), None)


def _names(containers: list[Container]) -> str:
    return ", ".join(container.step for container in containers)
