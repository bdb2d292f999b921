"""What a profile needs of a cluster: secrets, claims, GPUs, images; by looking at what everybody gets in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ropewalk.launch.profiles.config import Profile
from ropewalk.launch.profiles.launched import TRAINING_STEP, TUNING_STEP, launched_settings
from ropewalk.launch.profiles.resolve import all_secrets, gifts_for


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """GPUs that one kind of pod asks for."""

    pod: str
    """Which pod: "train-model", "TrainJob"."""
    resource: str
    """What the cluster calls them."""
    count: int
    """How many one pod wants."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that its node must have."""
    tolerations: tuple[Mapping[str, Any], ...] = ()
    """Taints that it tolerates, as in a pod's manifest."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What must be there."""

    secrets: Mapping[str, set[str]]
    """Name to the keys that are used; empty: the Secret as a whole."""
    claims: Mapping[str, set[str]]
    """Name to the pods that mount it."""
    gpus: tuple[Gpus, ...]
    """GPUs, by kind of pod."""
    train_job: bool
    """Whether Kubeflow Trainer is needed."""
    katib: bool
    """Whether Katib must be there."""
    katib_wanted: bool
    """Whether Katib is used where it is there."""


def needs_of(profile: Profile, steps: list[str]) -> Needs:
    """Return what `profile` needs for `steps`.

    Raises:
        ConfigError: The profile contradicts itself.
    """
    secrets: dict[str, set[str]] = {}
    claims: dict[str, set[str]] = {}
    for variable in all_secrets(profile):
        secrets.setdefault(variable.secret, set()).add(variable.key)
    for name in (*(files.secret for files in profile.secret_files), *profile.images.pull_secrets):
        secrets.setdefault(name, set())
    gpus = []
    for step in steps:
        gifts = gifts_for(step, profile)
        for volume in gifts.volumes:
            claims.setdefault(volume.claim, set()).add(step)
        if gifts.config.gpus:
            gpus.append(
                Gpus(
                    pod=step,
                    resource=gifts.gpu_resource,
                    count=gifts.config.gpus,
                    node_selector=gifts.config.node_selector,
                    tolerations=tuple(taint.manifest() for taint in gifts.config.tolerations or ()),
                )
            )
    job = launched_settings(TRAINING_STEP, profile, image="")
    tune = launched_settings(TUNING_STEP, profile, image="")
    trials = tune.get("pods", {}) if profile.tune.get("engine") != "local" else {}
    for pod, pods in (("TrainJob", job), ("Katib trials", trials)):
        _add_pods(pods, pod, secrets, claims, gpus)
    engine = profile.tune.get("engine", "auto")
    return Needs(
        secrets=secrets,
        claims=claims,
        gpus=tuple(gpus),
        train_job=bool(job) or (bool(trials) and profile.tune.get("trial") == "TrainJob"),
        katib=engine == "katib",
        katib_wanted=engine != "local",
    )


def _add_pods(
    pods: Mapping[str, Any], pod: str, secrets: dict[str, set[str]], claims: dict[str, set[str]], gpus: list[Gpus]
) -> None:
    for place in pods.get("secret_env", {}).values():
        secret, _, key = place.strip("/").partition("/")
        secrets.setdefault(secret, set()).add(key)
    for name in pods.get("image_pull_secrets", ()):
        secrets.setdefault(name, set())
    for claim in pods.get("claims", ()):
        claims.setdefault(claim["claim"], set()).add(pod)
    if pods.get("gpus"):
        gpus.append(
            Gpus(
                pod=pod,
                resource=pods.get("gpu_resource") or "nvidia.com/gpu",
                count=pods["gpus"],
                node_selector=pods.get("node_selector", {}),
                tolerations=tuple(pods.get("tolerations", ())),
            )
        )
