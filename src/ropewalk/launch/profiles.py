"""A profile: what one cluster gives the steps of every pipeline, such as secrets and volumes; put in at compile time.

No component or pipeline knows a cluster: the same source compiles for each, and a secret's value never enters the YAML.
"""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from kfp import kubernetes

from ropewalk.config import parse_config
from ropewalk.errors import ConfigError, nearest

_EXECUTOR = "exec-"


@dataclass(frozen=True, kw_only=True)
class SecretVariable:
    """An environment variable that is filled from a Kubernetes Secret."""

    env: str
    """The variable, such as ROPEWALK_GIT_TOKEN or AWS_SECRET_ACCESS_KEY."""
    secret: str
    """The Secret's name, in the namespace of the run."""
    key: str
    """The key in the Secret."""
    steps: tuple[str, ...] = ()
    """The only steps that get it, such as "pull-data"; empty: all of them."""

    def __post_init__(self) -> None:
        if not self.env.isidentifier():
            raise ConfigError(f"env={self.env!r}: need the name of an environment variable, such as AWS_ACCESS_KEY_ID.")


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A PersistentVolumeClaim that is mounted, for instance as the cache of pull_data."""

    claim: str
    """The claim's name, in the namespace of the run; several steps may use it at once."""
    path: str
    """Where it is mounted, absolute."""
    steps: tuple[str, ...] = ()
    """The only steps that get it; empty: all of them."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ConfigError(f"path={self.path!r}: need an absolute path, such as /cache.")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a cluster gives the steps."""

    secrets: tuple[SecretVariable, ...] = ()
    """Environment variables from Secrets."""
    volumes: tuple[Volume, ...] = ()
    """Claims to mount."""


def read_profile(file: Path) -> Profile:
    """Return the profile in the YAML file `file`.

    Raises:
        ConfigError: It cannot be read, or a setting is unknown or wrong; names the place.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The profile {file} cannot be read ({error}). Give a YAML file.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"The profile {file} holds no settings. It may name {', '.join(vars(Profile()))}.")
    return parse_config(Profile, content, section=file.stem)


def apply_profile(text: str, profile: Profile) -> str:
    """Return compiled YAML with what `profile` gives each step, as a platform document behind it."""
    specification, *documents = yaml.safe_load_all(text)
    platform: dict[str, Any] = documents[0] if documents else {}
    for executor in specification["deploymentSpec"]["executors"]:
        settings = _settings(executor.removeprefix(_EXECUTOR), profile)
        if settings:
            spec = platform.setdefault("platforms", {}).setdefault("kubernetes", {}).setdefault("deploymentSpec", {})
            spec.setdefault("executors", {}).setdefault(executor, {}).update(settings)
    if not platform:
        return text
    return text.partition("\n---\n")[0].rstrip("\n") + "\n---\n" + yaml.safe_dump(platform, sort_keys=True)


def check_steps(profile: Profile, known: set[str]) -> None:
    """Refuse a profile that names a step which no pipeline has.

    Raises:
        ConfigError: It does.
    """
    named = [entry.steps for entry in profile.secrets] + [entry.steps for entry in profile.volumes]
    for step in chain.from_iterable(named):
        if step not in known:
            raise ConfigError(
                f"The profile gives something to the step {step!r}, which is nowhere.{nearest(step, known)} "
                f"Known: {', '.join(sorted(known))}."
            )


def _settings(step: str, profile: Profile) -> dict[str, Any]:
    # kfp-kubernetes writes its settings into a task; of the task it needs nothing but this.
    task = SimpleNamespace(platform_config={})
    for variable in profile.secrets:
        if step in (variable.steps or (step,)):
            kubernetes.use_secret_as_env(task, variable.secret, {variable.key: variable.env})
    for volume in profile.volumes:
        if step in (volume.steps or (step,)):
            kubernetes.mount_pvc(task, volume.claim, volume.path)
    settings: dict[str, Any] = task.platform_config.get("kubernetes", {})
    return settings
