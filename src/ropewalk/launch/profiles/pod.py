"""A step's pod in the YAML's second document, written by kfp-kubernetes itself."""

from types import SimpleNamespace
from typing import Any

from kfp import kubernetes

from ropewalk.launch.profiles.config import ImagesConfig
from ropewalk.launch.profiles.resolve import Gifts

SHM = "/dev/shm"  # noqa: S108 - a mount, no temporary file


def pod_settings(gifts: Gifts, images: ImagesConfig, existing: dict[str, Any]) -> dict[str, Any]:
    """Return the step's Kubernetes settings: `existing`, what the pipeline sets itself, with what the profile gives.

    Lists are joined and mappings merged; where both give one value, the profile's holds.
    """
    # kfp-kubernetes writes its settings into a task; of the task it needs nothing but this.
    kept = _without_paths(
        existing, {SHM: gifts.config.shared_memory} | {each.path: each.path for each in gifts.volumes}
    )
    task = SimpleNamespace(platform_config={"kubernetes": kept} if kept else {})
    _set_secrets_and_volumes(task, gifts)
    _set_images(task, images)
    _set_placement(task, gifts)
    _set_rest(task, gifts)
    settings: dict[str, Any] = task.platform_config.get("kubernetes", {})
    return settings


def _without_paths(existing: dict[str, Any], mounted: dict[str, str | None]) -> dict[str, Any]:
    """Return `existing` without what it mounts where the profile does: a pod takes one mount a path."""
    kept = dict(existing)
    for name in ("emptyDirMounts", "pvcMount"):
        if name in kept:
            kept[name] = [mount for mount in kept[name] if not mounted.get(mount["mountPath"])]
    return kept


def _set_secrets_and_volumes(task: Any, gifts: Gifts) -> None:
    for variable in gifts.secrets:
        kubernetes.use_secret_as_env(task, variable.secret, {variable.key: variable.env})
    for files in gifts.secret_files:
        kubernetes.use_secret_as_volume(task, files.secret, files.path)
    for volume in gifts.volumes:
        kubernetes.mount_pvc(task, volume.claim, volume.path, sub_path=volume.sub_path)
    if gifts.config.shared_memory:
        kubernetes.empty_dir_mount(task, "shm", SHM, medium="Memory", size_limit=gifts.config.shared_memory)


def _set_images(task: Any, images: ImagesConfig) -> None:
    if images.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(images.pull_secrets))
    if images.pull_policy:
        kubernetes.set_image_pull_policy(task, images.pull_policy)


def _set_placement(task: Any, gifts: Gifts) -> None:
    config = gifts.config
    for key, value in config.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for taint in config.tolerations or ():
        kubernetes.add_toleration(
            task,
            key=taint.key,
            operator=taint.operator,
            value=taint.value,
            effect=taint.effect or None,
            toleration_seconds=taint.seconds,
        )
    rules = config.node_affinity or ()
    # The server joins several required terms by "or": what must hold together goes into one.
    required = [rule.expression() for rule in rules if rule.weight is None]
    if required:
        kubernetes.add_node_affinity(task, match_expressions=required)
    for rule in rules:
        if rule.weight is not None:
            kubernetes.add_node_affinity(task, match_expressions=[rule.expression()], weight=rule.weight)


def _set_rest(task: Any, gifts: Gifts) -> None:
    config = gifts.config
    for key, value in config.labels.items():
        kubernetes.add_pod_label(task, key, value)
    for key, value in config.annotations.items():
        kubernetes.add_pod_annotation(task, key, value)
    if config.timeout_seconds is not None:
        kubernetes.set_timeout(task, config.timeout_seconds)
    if config.security is not None and config.security.manifest():
        kubernetes.set_security_context(
            task,
            run_as_user=config.security.run_as_user,
            run_as_group=config.security.run_as_group,
            run_as_non_root=config.security.run_as_non_root,
        )
