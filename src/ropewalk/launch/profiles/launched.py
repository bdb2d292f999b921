"""What the pods get that a step launches: a TrainJob's, and those of Katib's trials.

The jobs' own sections come first, field by field. Where they say nothing, pods get the image, pull secrets, variables,
secrets, claims, labels, annotations and security of the step that launches them, and the resources and placement of
the profile's `defaults`: a step's own section describes the pod that waits, not those that work.
"""

from collections.abc import Mapping
from typing import Any

from ropewalk.errors import ConfigError
from ropewalk.launch.profiles.config import Profile
from ropewalk.launch.profiles.resolve import Gifts, gifts_for

TRAINING_STEP, TUNING_STEP = "train-model", "tune-model"
CLUSTER = "cluster"
"""The parameter of both steps that takes the settings."""


def launched_settings(step: str, profile: Profile, *, image: str) -> dict[str, Any]:
    """Return what the step's parameter `cluster` is given, {} when nothing is to be launched elsewhere.

    Args:
        step: "train-model" or "tune-model"; every other step launches nothing.
        profile: The cluster's profile.
        image: The step's image on this cluster; "" when it is the one that the step would take by itself.

    Raises:
        ConfigError: The step gets something that the launched pods cannot be given.
    """
    if step == TRAINING_STEP and profile.train_job:
        return _over(profile.train_job, _pods(gifts_for(step, profile), profile, image))
    if step != TUNING_STEP:
        return {}
    if profile.tune.get("engine") == "local":
        return dict(profile.tune)
    given = _pods(gifts_for(step, profile), profile, image)
    pods = _over(profile.tune.get("pods", {}), given)
    return {**profile.tune, **({"pods": pods} if pods else {})}


def _pods(gifts: Gifts, profile: Profile, image: str) -> dict[str, Any]:
    """Return fields of `ropewalk.cluster.pod_config.PodConfig`."""
    if gifts.secret_files:
        here = "leave train_job" if gifts.step == TRAINING_STEP else "set tune: {engine: local}"
        raise ConfigError(
            f"secret_files: {gifts.secret_files[0].secret} goes to {gifts.step}, and the pods that it launches cannot "
            f"be given files. Name the `steps` that need them, or {here} to have it work in its own pod."
        )
    step, below = gifts.config, profile.defaults
    made: dict[str, Any] = {
        "image": image,
        "image_pull_secrets": list(profile.images.pull_secrets),
        "env": {one.env: one.value for one in gifts.variables},
        "secret_env": {one.env: f"{one.secret}/{one.key}" for one in gifts.secrets},
        "claims": [
            {"claim": one.claim, "path": one.path, **({"sub_path": one.sub_path} if one.sub_path else {})}
            for one in gifts.volumes
        ],
        "labels": dict(step.labels),
        "annotations": dict(step.annotations),
        "security_context": step.security.manifest() if step.security else {},
        "cpu": below.cpu,
        "memory": below.memory,
        "gpus": below.gpus,
        "gpu_resource": below.gpu_resource,
        "shared_memory": below.shared_memory,
        "node_selector": dict(below.node_selector),
        "tolerations": [taint.manifest() for taint in below.tolerations or ()],
        "affinity": below.affinity(),
    }
    return {name: value for name, value in made.items() if value}


def _over(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return both in one: mappings are merged, claims by their path, all else that `own` says is taken whole."""
    made = {**given, **own}
    for name in ("env", "secret_env", "labels", "annotations", "node_selector"):
        if name in given and name in own:
            made[name] = {**given[name], **own[name]}
    if "claims" in given and "claims" in own:
        taken = {claim.get("path") for claim in own["claims"]}
        made["claims"] = [*own["claims"], *(claim for claim in given["claims"] if claim["path"] not in taken)]
    for name, other in (("env", "secret_env"), ("secret_env", "env")):
        # A variable that the job's section gives by the other way is that one.
        if name in given and other in own:
            made[name] = {
                env: value for env, value in made[name].items() if env not in own[other] or env in own.get(name, {})
            }
    return made
