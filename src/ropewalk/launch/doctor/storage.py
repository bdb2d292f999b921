"""Checks of Secrets and claims."""

from ropewalk.cluster.connection import Cluster
from ropewalk.launch.doctor.needs import Needs
from ropewalk.launch.doctor.reading import NotAllowedError, read
from ropewalk.launch.doctor.result import Result, failed, ok, skipped, unknown

SHARED = {"ReadWriteMany", "ReadOnlyMany"}


def check_secrets(cluster: Cluster, needs: Needs) -> list[Result]:
    """Look whether each Secret is there, with the keys that are used; their values are not looked at."""
    if not needs.secrets:
        return [skipped("secrets", "The profile names none.")]
    return [_secret(cluster, name, keys) for name, keys in sorted(needs.secrets.items())]


def check_claims(cluster: Cluster, needs: Needs) -> list[Result]:
    """Look whether each claim is there and bound, and can be mounted by all that share it."""
    if not needs.claims:
        return [skipped("claims", "The profile names none.")]
    return [result for name, pods in sorted(needs.claims.items()) for result in _claim(cluster, name, pods)]


def _secret(cluster: Cluster, name: str, keys: set[str]) -> Result:
    check = f"secret {name}"
    make = f"kubectl -n {cluster.namespace} create secret generic {name}" + "".join(
        f" --from-file={key}=FILE" for key in sorted(keys)
    )
    try:
        found = read(cluster, f"/api/v1/namespaces/{cluster.namespace}/secrets/{name}")
    except NotAllowedError:
        fix = f"Have someone look who may: kubectl -n {cluster.namespace} describe secret {name}"
        return unknown(check, "We may not read secrets.", fix=fix)
    if found is None:
        return failed(check, "It is not there: pods that need it do not start.", fix=f"Make it: {make}")
    if missing := sorted(keys - (found.get("data") or {}).keys()):
        has = ", ".join(sorted(found.get("data") or {})) or "none"
        fix = f"Correct the key in the profile, or make the Secret anew: {make}"
        return failed(check, f"It lacks the key {', '.join(missing)}; it has {has}.", fix=fix)
    return ok(check, f"It has {', '.join(sorted(keys))}." if keys else "It is there.")


def _claim(cluster: Cluster, name: str, pods: set[str]) -> list[Result]:
    check = f"claim {name}"
    try:
        found = read(cluster, f"/api/v1/namespaces/{cluster.namespace}/persistentvolumeclaims/{name}")
    except NotAllowedError:
        fix = f"Have someone look who may: kubectl -n {cluster.namespace} get pvc {name}"
        return [unknown(check, "We may not read claims.", fix=fix)]
    if found is None:
        fix = f"Have it made in {cluster.namespace}, or correct `volumes` in the profile."
        return [failed(check, "It is not there: pods that mount it do not start.", fix=fix)]
    spec, phase = found["spec"], found.get("status", {}).get("phase", "")
    results = []
    if phase == "Bound":
        results.append(ok(check, f"It is bound, {', '.join(spec.get('accessModes', []))}."))
    else:
        results.append(_unbound(cluster, check, phase, spec.get("storageClassName", "")))
    # Pods of one step after another may be on other nodes, but only several at once need a shared claim.
    shared = pods & {"Katib trials", "TrainJob"}
    if shared and not SHARED & set(spec.get("accessModes", [])):
        fix = "Use a claim of a storage class that has ReadWriteMany, such as NFS, CephFS or EFS."
        told = f"{', '.join(sorted(shared))} mount it on several nodes, and it is {', '.join(spec['accessModes'])}."
        results.append(failed(check, told, fix=fix))
    return results


def _unbound(cluster: Cluster, check: str, phase: str, storage_class: str) -> Result:
    fix = f"See why: kubectl -n {cluster.namespace} describe pvc"
    try:
        found = read(cluster, f"/apis/storage.k8s.io/v1/storageclasses/{storage_class}") if storage_class else {}
    except NotAllowedError:
        return unknown(check, f"It is {phase}.", fix=fix)
    if found is None:
        named = f"It is {phase}: there is no storage class {storage_class!r}."
        return failed(check, named, fix="Make the claim anew with one of: kubectl get storageclass")
    if phase == "Pending" and found.get("volumeBindingMode") == "WaitForFirstConsumer":
        return ok(check, "It is bound when the first pod mounts it.")
    return failed(check, f"It is {phase or 'in no phase'}, not Bound.", fix=fix)
