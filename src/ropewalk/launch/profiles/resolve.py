"""What one step gets in the end: the profile's `defaults`, the step's own section, and what names the step."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ropewalk.launch.profiles.config import (
    GIT_STEPS,
    REMOTE_STEPS,
    Profile,
    SecretFiles,
    SecretVariable,
    Variable,
    Volume,
)
from ropewalk.launch.profiles.step_config import StepConfig, check_together

GPU = "nvidia.com/gpu"


class _ForSteps(Protocol):
    @property
    def steps(self) -> tuple[str, ...]: ...


Given = TypeVar("Given", bound=_ForSteps)


@dataclass(frozen=True, kw_only=True)
class Gifts:
    """What a profile gives one step."""

    step: str
    """The step's name: "train-model"."""
    config: StepConfig
    """`defaults` and the step's own section in one."""
    variables: tuple[Variable, ...]
    """Environment variables with plain values."""
    secrets: tuple[SecretVariable, ...]
    """Environment variables from Secrets."""
    secret_files: tuple[SecretFiles, ...]
    """Secrets as files."""
    volumes: tuple[Volume, ...]
    """Claims."""

    @property
    def gpu_resource(self) -> str:
        """What the cluster calls a GPU."""
        return self.config.gpu_resource or GPU


def gifts_for(step: str, profile: Profile) -> Gifts:
    """Return what `profile` gives the step of that name.

    Raises:
        ConfigError: Its settings contradict each other.
    """
    own = profile.steps.get(step)
    config = own.over(profile.defaults) if own else profile.defaults
    check_together(config, place=f"steps.{step}")
    return Gifts(
        step=step,
        config=config,
        variables=_for(step, all_variables(profile)),
        secrets=_for(step, all_secrets(profile)),
        secret_files=_for(step, profile.secret_files),
        volumes=_for(step, profile.volumes),
    )


def all_variables(profile: Profile) -> list[Variable]:
    """Return the profile's plain variables, those of its `mlflow` and `dvc` sections included."""
    given = [
        Variable(env="MLFLOW_TRACKING_URI", value=profile.mlflow.tracking_uri, steps=profile.mlflow.steps),
        Variable(env="AWS_ENDPOINT_URL", value=profile.dvc.endpoint_url, steps=REMOTE_STEPS),
        Variable(env="AWS_DEFAULT_REGION", value=profile.dvc.region, steps=REMOTE_STEPS),
    ]
    return [*(each for each in given if each.value), *profile.variables]


def all_secrets(profile: Profile) -> list[SecretVariable]:
    """Return the profile's secret variables, those of its `mlflow` and `dvc` sections included."""
    mlflow, dvc = profile.mlflow, profile.dvc
    given = [
        ("MLFLOW_TRACKING_TOKEN", mlflow.token, mlflow.steps),
        ("MLFLOW_TRACKING_USERNAME", mlflow.username, mlflow.steps),
        ("MLFLOW_TRACKING_PASSWORD", mlflow.password, mlflow.steps),
        ("ROPEWALK_GIT_TOKEN", dvc.git_token, GIT_STEPS),
        ("AWS_ACCESS_KEY_ID", dvc.access_key_id, REMOTE_STEPS),
        ("AWS_SECRET_ACCESS_KEY", dvc.secret_access_key, REMOTE_STEPS),
    ]
    made = []
    for env, place, steps in given:
        if place:
            secret, _, key = place.partition("/")
            made.append(SecretVariable(env=env, secret=secret, key=key, steps=steps))
    return [*made, *profile.secrets]


def named_steps(profile: Profile) -> set[str]:
    """Return every step that the profile names."""
    given = (profile.secrets, profile.secret_files, profile.variables, profile.volumes, (profile.mlflow,))
    return {step for entries in given for entry in entries for step in entry.steps} | set(profile.steps)


def _for(step: str, given: Iterable[Given]) -> tuple[Given, ...]:
    return tuple(each for each in given if step in (each.steps or (step,)))
