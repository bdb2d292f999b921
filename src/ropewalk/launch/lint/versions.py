"""Rules `needs-kfp` and `not-carried`: what the target server does not know is dropped without a word."""

from collections.abc import Iterator
from dataclasses import dataclass

from ropewalk.launch.lint.document import Document, Place
from ropewalk.launch.lint.finding import ERROR, WARNING, Finding
from ropewalk.launch.lint.rule import LintConfig, found


@dataclass(frozen=True, kw_only=True)
class Use:
    """A place where a feature is used."""

    feature: str
    """What, in KFP's words."""
    since: tuple[int, int]
    """The first release that carries it, by its own SDK."""
    place: Place
    """Where."""


def check_versions(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each feature that is newer than the target server."""
    for use in (*_run_features(document), *_pod_features(document), *_task_config(document)):
        if use.since > config.kfp_version:
            target, since = (".".join(str(part) for part in version) for version in (config.kfp_version, use.since))
            yield found(
                document,
                "needs-kfp",
                ERROR,
                use.place,
                message=f"{use.feature} needs KFP {since}; a server of {target} drops it without a word.",
                fix=f"Upgrade the server to {since}, or leave it.",
            )


def check_not_carried(document: Document, config: LintConfig) -> Iterator[Finding]:
    """Yield a finding for each setting that the format has and the server of KFP 2.17 does not read."""
    for container in document.containers:
        place = ("platforms", "kubernetes", "deploymentSpec", "executors", f"exec-{container.step}")
        for name, fix in (
            ("podAffinity", "Use node_affinity, or a policy of the cluster."),
            ("enabledSharedMemory", "Mount a Memory emptyDir at /dev/shm: shared_memory in a profile does."),
        ):
            if name in container.pod:
                yield found(
                    document,
                    "not-carried",
                    ERROR,
                    (*place, name),
                    message=f"{container.step} sets {name}, which KFP's server does not put into the pod.",
                    fix=fix,
                )
    for task in document.tasks():
        if task.spec.get("cachingOptions", {}).get("cacheKey") and config.kfp_version <= (2, 17):
            yield found(
                document,
                "not-carried",
                WARNING,
                (*task.place, "cachingOptions", "cacheKey"),
                message=f"{task.name} sets a cache key, which servers up to 2.17.0 ignore: it is cached by its inputs.",
                fix="Make what the key stands for a parameter of the component: a content hash, a version.",
            )


def _run_features(document: Document) -> Iterator[Use]:
    for name in document.kubernetes.get("pipelineConfig", {}):
        place = ("platforms", "kubernetes", "pipelineConfig", name)
        if name == "workspace":
            yield Use(feature="A workspace", since=(2, 15), place=place)
        elif name.startswith("resourceTtl") or name == "activeDeadlineSeconds":
            yield Use(feature=f"The run's {name}", since=(2, 17), place=place)


def _pod_features(document: Document) -> Iterator[Use]:
    for container in document.containers:
        place = ("platforms", "kubernetes", "deploymentSpec", "executors", f"exec-{container.step}")
        if any(mount.get("subPath") for mount in container.pod.get("pvcMount", [])):
            yield Use(feature="A folder of a claim (subPath)", since=(2, 16), place=(*place, "pvcMount"))
        if "securityContext" in container.pod:
            yield Use(feature="A security context", since=(2, 16), place=(*place, "securityContext"))


def _task_config(document: Document) -> Iterator[Use]:
    for name, component in document.spec.get("components", {}).items():
        if component.get("taskConfigPassthroughs"):
            place = ("components", name, "taskConfigPassthroughs")
            yield Use(feature="Handing a task's settings on to a job (TaskConfig)", since=(2, 15), place=place)
