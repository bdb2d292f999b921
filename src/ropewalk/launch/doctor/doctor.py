"""All checks for one profile."""

from collections.abc import Callable
from functools import partial

from ropewalk.cluster.connect import connect
from ropewalk.cluster.patience import Patience
from ropewalk.errors import ConfigError
from ropewalk.launch.doctor.namespace import check_api, check_namespace, check_permissions
from ropewalk.launch.doctor.needs import Needs, needs_of
from ropewalk.launch.doctor.nodes import check_gpus
from ropewalk.launch.doctor.operators import check_katib, check_trainer
from ropewalk.launch.doctor.registry import check_images
from ropewalk.launch.doctor.result import Check, Result, failed
from ropewalk.launch.doctor.run import SECONDS, run_checks
from ropewalk.launch.doctor.services import check_dvc_remote, check_mlflow, check_pipelines
from ropewalk.launch.doctor.storage import check_claims, check_secrets
from ropewalk.launch.profiles.config import Profile

PATIENCE = Patience(first_retry=0.5, unreachable=5.0)
"""A person waits: what is away for a few seconds is away."""


def examine(
    profile: Profile,
    *,
    steps: list[str],
    images: list[str],
    namespace: str = "",
    seconds: float = SECONDS,
    patience: Patience = PATIENCE,
    say: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Return what each check found.

    Args:
        profile: What is needed.
        steps: The steps' names.
        images: The images that pods are started from.
        namespace: Where the steps run; "" is the profile's, else that of the kubeconfig context or of this pod.
        seconds: How long all checks may take, above 0.
        patience: How long the API server is waited for.
        say: Called with each result as soon as it is there.
    """
    needs = needs_of(profile, steps)
    checks = _cluster_checks(profile, needs, namespace or profile.kfp.namespace, patience)
    checks |= {
        "Kubeflow Pipelines": partial(check_pipelines, profile.kfp, patience=patience),
        "MLflow": partial(check_mlflow, profile),
        "DVC remote": partial(check_dvc_remote, profile),
        "images": partial(check_images, images),
    }
    return run_checks(checks, seconds=seconds, say=say)


def _cluster_checks(profile: Profile, needs: Needs, namespace: str, patience: Patience) -> dict[str, Check]:
    try:
        cluster = connect(namespace=namespace, patience=patience)
    except ConfigError as error:
        cause = f"This is no pod, and no kubeconfig can be used: {error.__cause__}" if error.__cause__ else str(error)
        result = failed("Kubernetes", cause, fix="Set KUBECONFIG, or run this in the cluster.")
        return {"Kubernetes": lambda: [result]}
    return {
        "Kubernetes": partial(check_api, cluster),
        "namespace": partial(check_namespace, cluster, needs, profile),
        "permissions": partial(check_permissions, cluster, needs),
        "secrets": partial(check_secrets, cluster, needs),
        "claims": partial(check_claims, cluster, needs),
        "GPUs": partial(check_gpus, cluster, needs),
        "Katib": partial(check_katib, cluster, needs),
        "Kubeflow Trainer": partial(check_trainer, cluster, needs, profile),
    }
