"""Reads a profile, and says all that is wrong with it at once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ropewalk.cluster.trainjob import TrainJobConfig
from ropewalk.config import find_problems, parse_config, refuse
from ropewalk.errors import ConfigError
from ropewalk.launch.profiles.config import Profile
from ropewalk.launch.profiles.step_config import check_together
from ropewalk.tuning.profile import TuneProfile

_SECTIONS = {"train_job": TrainJobConfig, "tune": TuneProfile}
NOT_CARRIED = {
    "affinity": "Demands on nodes belong into node_affinity; KFP 2.17 carries no affinity between pods.",
    "pod_affinity": "KFP 2.17's server drops affinity between pods: use node_affinity, or a Kyverno policy.",
    "pod_anti_affinity": "KFP 2.17's server drops affinity between pods: use node_affinity, or a Kyverno policy.",
    "service_account": "KFP sets it for a whole run: name it in kfp.service_account.",
    "priority_class": "KFP 2.17 carries none: have the namespace's default set, or use a label that a policy reads.",
    "host_ipc": "KFP 2.17 carries none: use shared_memory.",
    "init_containers": "KFP 2.17 carries none.",
    "runtime_class": "KFP 2.17 carries none: have the nodes' default set.",
    "ephemeral_storage": "KFP 2.17 carries no request for it: mount a claim by `volumes`.",
}
"""Settings that KFP 2.17 cannot carry from the YAML to a pod (kfp-kubernetes 2.17; the driver of the same release)."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_profile(file: Path) -> Profile:
    """Return the profile in the YAML file `file`.

    Raises:
        ConfigError: It cannot be read, or settings are unknown or wrong; names the place of each.
    """
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The profile {file} cannot be read ({error}). Give a YAML file.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"The profile {file} holds no settings. It may name {', '.join(vars(Profile()))}.")
    content = _tidy(content)
    problems = find_problems(Profile, content, section=file.stem) + _section_problems(content, file.stem)
    refuse([problem + _reason(problem) for problem in problems])
    profile = parse_config(Profile, content, section=file.stem)
    check_profile(profile)
    if profile.images.lock:
        lock = str(file.parent / profile.images.lock)
        return replace(profile, images=replace(profile.images, lock=lock))
    return profile


def check_profile(profile: Profile) -> None:
    """Refuse a profile whose parts contradict each other.

    Raises:
        ConfigError: Names each contradiction.
    """
    problems = _section_problems(vars(profile))
    places = {"defaults": profile.defaults} | {
        f"steps.{name}": config.over(profile.defaults) for name, config in profile.steps.items()
    }
    for place, config in places.items():
        try:
            check_together(config, place=place)
        except ConfigError as error:
            problems.append(str(error))
    refuse(problems)


def _tidy(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without sections that are empty, and with cores as text: "cpu: 2" is what people write."""
    made = {name: value for name, value in content.items() if value is not None}
    if isinstance(made.get("defaults"), Mapping):
        made["defaults"] = _cores_as_text(made["defaults"])
    if isinstance(made.get("steps"), Mapping):
        made["steps"] = {name: _cores_as_text({} if value is None else value) for name, value in made["steps"].items()}
    return made


def _cores_as_text(config: Any) -> Any:
    if not isinstance(config, Mapping):
        return config
    cores = {name: config[name] for name in ("cpu", "cpu_request") if isinstance(config.get(name), int | float)}
    return {**config, **{name: str(value) for name, value in cores.items()}}


def _reason(problem: str) -> str:
    """Return why a setting that people look for is not there, "" where there is nothing to say."""
    place, _, rest = problem.partition(": ")
    name = place.rpartition(".")[2]
    return f" {NOT_CARRIED[name]}" if rest.startswith("there is no such setting") and name in NOT_CARRIED else ""


def _section_problems(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return what is wrong with the sections that go to launched jobs as they are, [] when nothing is."""
    given = {name: content.get(name) or {} for name in _SECTIONS}
    start = f"{prefix}." if prefix else ""
    return [
        problem
        for name, values in given.items()
        if isinstance(values, Mapping)
        for problem in find_problems(_SECTIONS[name], values, section=f"{start}{name}")
    ]
