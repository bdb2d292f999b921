"""Writes into compiled YAML what a profile gives each step."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ropewalk.errors import ConfigError, nearest
from ropewalk.launch.profiles.config import Profile, RunConfig
from ropewalk.launch.profiles.container import set_container
from ropewalk.launch.profiles.handing_on import keep_handed_on, without_handed_on
from ropewalk.launch.profiles.images import placed
from ropewalk.launch.profiles.launched import CLUSTER, launched_settings
from ropewalk.launch.profiles.pod import pod_settings
from ropewalk.launch.profiles.resolve import gifts_for, named_steps
from ropewalk.launch.profiles.step_config import Retry, StepConfig

_EXECUTOR, _COMPONENT = "exec-", "comp-"
_WIDTH = 120
_NUMBERED = re.compile(r"(?P<step>.+)-\d+")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TTL = {
    "keep_seconds": "resourceTtlOnCompletion",
    "keep_seconds_after_success": "resourceTtlOnSuccess",
    "keep_seconds_after_failure": "resourceTtlOnFailure",
    "deadline_seconds": "activeDeadlineSeconds",
}


def apply_profile(text: str, profile: Profile) -> str:
    """Return compiled YAML with what `profile` gives each step.

    Raises:
        ConfigError: Settings contradict each other, or the images' lock has no digest of an image.
    """
    specification, *documents = yaml.load_all(text, Loader=_LOADER)
    platform = documents[0] if documents else {}
    _set_executors(specification, platform, profile)
    _set_tasks(specification, profile)
    _set_run(specification, platform, profile.run)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    # KFP folds at 80 columns, which cuts the source of components into more and longer pieces. The dumper in C folds
    # elsewhere, and is not on every machine.
    dumped = yaml.safe_dump(specification, width=_WIDTH)
    second = f"---\n{yaml.safe_dump(platform, width=_WIDTH)}" if platform else ""
    return "\n".join([*comments, dumped]) + second


def check_steps(profile: Profile, known: set[str]) -> None:
    """Refuse a profile that names a step which no pipeline has.

    Raises:
        ConfigError: It does.
    """
    wrong = sorted(named_steps(profile) - known)
    if wrong:
        told = "; ".join(f"{step!r}, which is nowhere.{nearest(step, known)}" for step in wrong)
        raise ConfigError(f"The profile gives something to the step {told} Known: {', '.join(sorted(known))}.")


def step_name(name: str, prefix: str, names: Mapping[str, Any]) -> str:
    """Return the step of an executor or component.

    KFP numbers further uses of a component, "exec-pull-data-2", and those in nested pipelines again.
    """
    first = name
    while (found := _NUMBERED.fullmatch(name)) is not None:
        name = found["step"]
        first = name if name in names else first
    return first.removeprefix(prefix)


def locked_digests(profile: Profile) -> Mapping[str, str]:
    """Return the references of the profile's images' lock by family, {} when it names none.

    Raises:
        ConfigError: The lock cannot be read.
    """
    if not profile.images.lock:
        return {}
    from ropewalk.images_lock import read_images_lock

    return read_images_lock(Path(profile.images.lock))


def _set_executors(specification: dict[str, Any], platform: dict[str, Any], profile: Profile) -> None:
    executors = specification["deploymentSpec"]["executors"]
    components = {one.get("executorLabel"): one for one in specification.get("components", {}).values()}
    digests = locked_digests(profile)
    for name, executor in executors.items():
        # An importer has no container: KFP's own launcher does its work.
        if "container" not in executor:
            continue
        container, existing = executor["container"], _pods(platform).get(name, {})
        step = step_name(name, _EXECUTOR, executors)
        gifts = gifts_for(step, profile)
        if gifts.config != StepConfig():
            handed = keep_handed_on(step, components.get(name, {}), container, existing)
            defaults = without_handed_on(profile.defaults, handed)
            gifts = gifts_for(step, replace(profile, defaults=defaults))
        container["image"] = placed(container["image"], profile.images, digests)
        set_container(container, gifts)
        if settings := pod_settings(gifts, profile.images, existing):
            kubernetes = platform.setdefault("platforms", {}).setdefault("kubernetes", {})
            kubernetes.setdefault("deploymentSpec", {}).setdefault("executors", {})[name] = settings


def _set_tasks(specification: dict[str, Any], profile: Profile) -> None:
    components, executors = specification.get("components", {}), specification["deploymentSpec"]["executors"]
    for task in _tasks(specification):
        name = task["componentRef"]["name"]
        executor = executors.get(components.get(name, {}).get("executorLabel", ""), {})
        if "container" not in executor:
            continue
        step = step_name(name, _COMPONENT, components)
        config = gifts_for(step, profile).config
        if config.retry is not None:
            task["retryPolicy"] = _retry_policy(config.retry)
        if config.caching is False:
            task["cachingOptions"] = {}
        image = (
            executor["container"]["image"]
            if profile.images.registry or profile.images.tag or profile.images.lock
            else ""
        )
        if given := launched_settings(step, profile, image=image):
            # A pipeline that wires its own settings keeps them.
            inputs = task.setdefault("inputs", {}).setdefault("parameters", {})
            inputs.setdefault(CLUSTER, {"runtimeValue": {"constant": given}})


def _set_run(specification: dict[str, Any], platform: dict[str, Any], run: RunConfig) -> None:
    if run.pipeline_root:
        specification["defaultPipelineRoot"] = run.pipeline_root
    given = {theirs: getattr(run, ours) for ours, theirs in _TTL.items() if getattr(run, ours) is not None}
    if given:
        kubernetes = platform.setdefault("platforms", {}).setdefault("kubernetes", {})
        kubernetes.setdefault("pipelineConfig", {}).update(given)


def _retry_policy(retry: Retry) -> dict[str, Any]:
    return {
        "maxRetryCount": retry.count,
        "backoffDuration": f"{retry.backoff_seconds}s",
        "backoffFactor": retry.backoff_factor,
        "backoffMaxDuration": f"{retry.backoff_max_seconds}s",
    }


def _tasks(specification: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for graph in (specification["root"], *specification.get("components", {}).values()):
        yield from graph.get("dag", {}).get("tasks", {}).values()


def _pods(platform: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = platform.get("platforms", {}).get("kubernetes", {})
    return dict(found.get("deploymentSpec", {}).get("executors", {}))
