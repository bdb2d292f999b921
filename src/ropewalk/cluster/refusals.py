"""What the API server's refusals mean, and what to do about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ropewalk.cluster.access import Role, forbidden
from ropewalk.cluster.patience import LONGEST_PAUSE
from ropewalk.cluster.resource import ResourceType
from ropewalk.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client.exceptions import ApiException

_INJECTION = "katib.kubeflow.org/metrics-collector-injection"
"""Label without which Katib's webhook refuses experiments (pkg/webhook/v1beta1/experiment/validation_webhook.go)."""


def explained(
    error: ApiException, host: str, namespace: str, role: Role, resource_type: ResourceType | None
) -> ClusterError:
    """Return our error for a refusal that trying again does not change.

    Args:
        error: The client's.
        host: Address of the API server.
        namespace: Where it was asked.
        role: What for.
        resource_type: The kind of resource that was asked for; None for Kubernetes' own.
    """
    message = _message(error)
    if error.status == 401:
        return ClusterError(
            f"The cluster at {host} does not know us: {message}. In a pod, its service account's token is wrong or has "
            "expired; elsewhere, log in to the cluster again (kubectl get pods must work)."
        )
    if error.status == 403:
        return ClusterError(forbidden(message, namespace, role))
    if error.status == 404 and resource_type and not _status(error):
        return ClusterError(
            f"{resource_type.product} is not installed in the cluster at {host}, or in a version that Ropewalk does "
            f"not know. Have an administrator install it; {resource_type.guide} says which."
        )
    if _INJECTION in message:
        return ClusterError(missing_injection(namespace, message))
    if error.status == 404:
        return ClusterError(f"The cluster at {host} does not have it: {message}.")
    return ClusterError(f"The cluster at {host} refused ({error.status}): {message}.")


def missing_injection(namespace: str, found: str) -> str:
    """Return what to do where Katib does not add its metrics collector to pods; `found` tells how that showed."""
    return (
        f"Namespace {namespace} lacks the label {_INJECTION}=enabled, without which Katib does not collect metrics "
        f"there: {found}. Have an administrator set it, then run again: kubectl label namespace {namespace} "
        f"{_INJECTION}=enabled (the older name katib-metricscollector-injection does nothing any more)."
    )


def nothing_there(error: ApiException) -> bool:
    """Return whether it is not just the object that is missing, but its kind or its namespace."""
    details = _status(error).get("details") or {}
    return error.status == 404 and (not details.get("name") or details.get("kind") == "namespaces")


def asked_pause(error: ApiException) -> float:
    """Return the seconds that the server asks for before the next try, 0 when it asks for none."""
    asked = (error.headers or {}).get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdigit() else 0.0


def _status(error: ApiException) -> dict[str, Any]:
    """Return the Status object; {} for the plain text that answers an unknown URL."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _message(error: ApiException) -> str:
    return str(_status(error).get("message") or error.reason or error.status).rstrip(".")
