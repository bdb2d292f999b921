"""A profile: what one cluster gives the steps of every pipeline, such as secrets, volumes and where it trains.

It is put in at compile time. No component or pipeline knows a cluster: the same source compiles for each, and a
secret's value never enters the YAML.
"""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from kfp import kubernetes

from ropewalk.cluster.trainjob import TrainJobConfig
from ropewalk.config import parse_config
from ropewalk.errors import ConfigError, nearest
from ropewalk.tuning.profile import TuneProfile

_EXECUTOR = "exec-"
_WIDTH = 120


@dataclass(frozen=True, kw_only=True)
class Variable:
    """An environment variable with a value that anybody may read."""

    env: str
    """The variable, such as ROPEWALK_CHECKPOINTS or AWS_ENDPOINT_URL."""
    value: str
    """Its value; what is secret belongs into `Profile.secrets`."""
    steps: tuple[str, ...] = ()
    """The only steps that get it; empty: all of them."""

    def __post_init__(self) -> None:
        _check_variable(self.env)


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
        _check_variable(self.env)


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
    variables: tuple[Variable, ...] = ()
    """Environment variables with plain values."""
    volumes: tuple[Volume, ...] = ()
    """Claims to mount."""
    train_job: dict[str, Any] = field(default_factory=dict)
    """Fields of `ropewalk.cluster.trainjob.TrainJobConfig`: train_model trains in such a Kubeflow TrainJob; empty: in
    its own pod."""
    tune: dict[str, Any] = field(default_factory=dict)
    """Fields of `ropewalk.tuning.profile.TuneProfile`: where tune_model runs its trials, and in which pods; empty: by
    Katib where the cluster has it, else in its own pod."""

    def __post_init__(self) -> None:
        parse_config(TrainJobConfig, self.train_job, section="train_job")
        parse_config(TuneProfile, self.tune, section="tune")


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
    """Return compiled YAML with what `profile` gives each step."""
    specification, *documents = yaml.safe_load_all(text)
    _add_variables(specification, profile)
    _set_cluster(specification, profile)
    platform = _add_platform(specification, documents[0] if documents else {}, profile)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    # KFP folds at 80 columns, which cuts the source of components into more and longer pieces.
    dumped = yaml.safe_dump(specification, width=_WIDTH)
    return "\n".join([*comments, dumped]) + (f"---\n{yaml.safe_dump(platform, width=_WIDTH)}" if platform else "")


def check_steps(profile: Profile, known: set[str]) -> None:
    """Refuse a profile that names a step which no pipeline has.

    Raises:
        ConfigError: It does.
    """
    given = (profile.secrets, profile.variables, profile.volumes)
    for step in (step for entries in given for entry in entries for step in entry.steps):
        if step not in known:
            raise ConfigError(
                f"The profile gives something to the step {step!r}, which is nowhere.{nearest(step, known)} "
                f"Known: {', '.join(sorted(known))}."
            )


def _add_variables(specification: dict[str, Any], profile: Profile) -> None:
    for name, executor in specification["deploymentSpec"]["executors"].items():
        step = name.removeprefix(_EXECUTOR)
        given = [{"name": one.env, "value": one.value} for one in profile.variables if step in (one.steps or (step,))]
        if given and "container" in executor:
            executor["container"]["env"] = [*executor["container"].get("env", []), *given]


def _set_cluster(specification: dict[str, Any], profile: Profile) -> None:
    """Give every train_model and tune_model step of a pipeline its settings, unless the pipeline wires its own."""
    settings = {"comp-train-model": profile.train_job, "comp-tune-model": profile.tune}
    graphs = [specification["root"], *specification.get("components", {}).values()]
    for task in (task for graph in graphs for task in graph.get("dag", {}).get("tasks", {}).values()):
        if given := settings.get(task["componentRef"]["name"]):
            inputs = task.setdefault("inputs", {}).setdefault("parameters", {})
            inputs.setdefault("cluster", {"runtimeValue": {"constant": given}})


def _add_platform(specification: dict[str, Any], platform: dict[str, Any], profile: Profile) -> dict[str, Any]:
    for executor in specification["deploymentSpec"]["executors"]:
        settings = _settings(executor.removeprefix(_EXECUTOR), profile)
        if settings:
            spec = platform.setdefault("platforms", {}).setdefault("kubernetes", {}).setdefault("deploymentSpec", {})
            spec.setdefault("executors", {}).setdefault(executor, {}).update(settings)
    return platform


def _check_variable(name: str) -> None:
    if not name.isidentifier():
        raise ConfigError(f"env={name!r}: need the name of an environment variable, such as AWS_ACCESS_KEY_ID.")


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
