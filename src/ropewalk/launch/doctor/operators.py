"""Checks whether Katib and Kubeflow Trainer are installed, in versions that we know."""

from typing import Any

from ropewalk.cluster.connection import Cluster
from ropewalk.launch.doctor.needs import Needs
from ropewalk.launch.doctor.reading import NotAllowedError, read
from ropewalk.launch.doctor.result import Result, failed, ok, skipped, unknown
from ropewalk.launch.profiles.config import Profile


def check_katib(cluster: Cluster, needs: Needs) -> list[Result]:
    """Look for Katib's resources and its controller's version."""
    if not needs.katib_wanted:
        return [skipped("Katib", "Trials run in the step's own pod.")]
    if not _serves(cluster, "/apis/kubeflow.org/v1beta1", "experiments"):
        if not needs.katib:
            return [ok("Katib", "It is not installed: trials run in the step's own pod (tune.engine: auto).")]
        fix = "Have an administrator install Katib 0.19 or newer, or set tune: {engine: local}."
        return [failed("Katib", "It is not installed.", fix=fix)]
    return [ok("Katib", f"experiments v1beta1, {_version(cluster, 'katib-controller', 'kubeflow')}")]


def check_trainer(cluster: Cluster, needs: Needs, profile: Profile) -> list[Result]:
    """Look for Kubeflow Trainer's resources, its version and the runtime that the profile names."""
    if not needs.train_job:
        return [skipped("Kubeflow Trainer", "Training runs in the step's own pod.")]
    if not _serves(cluster, "/apis/trainer.kubeflow.org/v1alpha1", "trainjobs"):
        fix = "Have an administrator install Kubeflow Trainer 2.2 or newer, or leave train_job in the profile."
        return [failed("Kubeflow Trainer", "It is not installed.", fix=fix)]
    version = _version(cluster, "kubeflow-trainer-controller-manager", "kubeflow-system")
    return [ok("Kubeflow Trainer", f"trainjobs v1alpha1, {version}"), _runtime(cluster, profile)]


def _runtime(cluster: Cluster, profile: Profile) -> Result:
    given: dict[str, Any] = dict(profile.train_job) or dict(profile.tune.get("pods", {}))
    name, kind = given.get("runtime", "torch-distributed"), given.get("runtime_kind", "ClusterTrainingRuntime")
    check = f"training runtime {name}"
    start = "/apis/trainer.kubeflow.org/v1alpha1"
    wide = kind == "ClusterTrainingRuntime"
    place = f"{start}/clustertrainingruntimes" if wide else f"{start}/namespaces/{cluster.namespace}/trainingruntimes"
    try:
        found = read(cluster, f"{place}/{name}")
    except NotAllowedError:
        fix = f"Have an administrator look: kubectl get {kind.lower()}s"
        return unknown(check, "We may not read training runtimes.", fix=fix)
    if found is None:
        fix = f"Have it installed, or name another in train_job.runtime: kubectl get {kind.lower()}s"
        return failed(check, f"There is no {kind} of that name.", fix=fix)
    return ok(check, f"The {kind} is there.")


def _serves(cluster: Cluster, path: str, plural: str) -> bool:
    found = read(cluster, path) or {}
    return any(resource.get("name") == plural for resource in found.get("resources", []))


def _version(cluster: Cluster, deployment: str, namespace: str) -> str:
    try:
        found = read(cluster, f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
    except NotAllowedError:
        return f"version not known: we may not read deployments in {namespace}"
    if found is None:
        return f"version not known: there is no deployment {deployment} in {namespace}"
    image = found["spec"]["template"]["spec"]["containers"][0]["image"]
    return f"version {image.rpartition('/')[2].partition(':')[2] or 'not told by its image'}"
