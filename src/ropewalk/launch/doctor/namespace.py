"""Checks of the API server, the namespace, its labels, and what we may do in it."""

from ropewalk.cluster.access import TRAINING, TUNING, Role, granted_permissions
from ropewalk.cluster.connection import Cluster
from ropewalk.launch.doctor.needs import Needs
from ropewalk.launch.doctor.reading import NotAllowedError, read
from ropewalk.launch.doctor.result import Result, failed, ok, skipped, unknown
from ropewalk.launch.profiles.config import Profile

INJECTION = "katib.kubeflow.org/metrics-collector-injection"
ENFORCED = "pod-security.kubernetes.io/enforce"


def check_api(cluster: Cluster) -> list[Result]:
    """Look whether the API server answers, and which version it is."""
    version = read(cluster, "/version") or {}
    return [ok("Kubernetes", f"{version.get('gitVersion', 'a version that it does not tell')} at {cluster.host}")]


def check_namespace(cluster: Cluster, needs: Needs, profile: Profile) -> list[Result]:
    """Look whether the namespace is there, Katib collects metrics in it, and its pods may run as the profile says."""
    name = cluster.namespace
    check = f"namespace {name}"
    try:
        found = read(cluster, f"/api/v1/namespaces/{name}")
    except NotAllowedError:
        fix = f"Ask its administrator: kubectl get namespace {name} --show-labels"
        return [unknown(check, "We may not read namespaces.", fix=fix)]
    if found is None:
        fix = f"Name another in kfp.namespace, or have it made: kubectl create namespace {name}"
        return [failed(check, "It is not there.", fix=fix)]
    labels = found["metadata"].get("labels") or {}
    results = [ok(check, "It is there.")]
    if needs.katib_wanted:
        results.append(_injection(name, labels))
    if labels.get(ENFORCED) == "restricted":
        results.append(_restricted(name, profile))
    return results


def check_permissions(cluster: Cluster, needs: Needs) -> list[Result]:
    """Ask the API server for a review of what we may do; a step's pod asks the same for itself when it starts."""
    roles: list[tuple[Role, bool]] = [(TRAINING, needs.train_job), (TUNING, needs.katib_wanted)]
    return [
        _permissions(cluster, role) if needed else skipped(f"permissions for {role}", "Nothing is launched.")
        for role, needed in roles
    ]


def _permissions(cluster: Cluster, role: Role) -> Result:
    check = f"permissions for {role}"
    missing = cluster.lacks(granted_permissions(role))
    if not missing:
        return ok(check, "We have all of them; the steps' service account is asked when a step starts.")
    wanted = "; ".join(str(permission) for permission in missing)
    fix = (
        f"Have an administrator run: python -m ropewalk.cluster --role {role} --namespace {cluster.namespace} "
        "--service-account default-editor | kubectl apply -f -"
    )
    return failed(check, f"We lack {wanted}.", fix=fix)


def _injection(name: str, labels: dict[str, str]) -> Result:
    check = f"metrics of trials in {name}"
    if labels.get(INJECTION) == "enabled":
        return ok(check, "Katib collects them.")
    fix = f"Have an administrator run: kubectl label namespace {name} {INJECTION}=enabled"
    return failed(check, f"The namespace lacks the label {INJECTION}=enabled, so Katib refuses experiments.", fix=fix)


def _restricted(name: str, profile: Profile) -> Result:
    check = f"pod security in {name}"
    configs = [profile.defaults, *(step.over(profile.defaults) for step in profile.steps.values())]
    if all(config.security and config.security.run_as_non_root for config in configs):
        return ok(check, 'It enforces "restricted", and steps do not run as root.')
    fix = "Set defaults.security: {run_as_non_root: true, run_as_user: 1000} in the profile."
    return failed(check, 'It enforces "restricted", which refuses pods that may run as root.', fix=fix)
