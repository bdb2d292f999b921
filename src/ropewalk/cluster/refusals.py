"""What the API server's refusals mean, and what to do about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ropewalk.cluster.access import forbidden
from ropewalk.cluster.patience import LONGEST_PAUSE
from ropewalk.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client.exceptions import ApiException


def explained(error: ApiException, host: str, namespace: str, product: str) -> ClusterError:
    """Return our error for a refusal that trying again does not change.

    Args:
        error: The client's.
        host: Address of the API server.
        namespace: Where it was asked.
        product: What would have to be installed for the kind of resource; "" for Kubernetes' own.
    """
    message = _message(error)
    if error.status == 401:
        return ClusterError(
            f"The cluster at {host} does not know us: {message}. In a pod, its service account's token is wrong or has "
            "expired; elsewhere, log in to the cluster again (kubectl get pods must work)."
        )
    if error.status == 403:
        return ClusterError(forbidden(message, namespace))
    if error.status == 404 and product and not _status(error):
        return ClusterError(
            f"{product} is not installed in the cluster at {host}, or in a version that Ropewalk does not know. Have "
            "an administrator install it; docs/cluster-training.md says which."
        )
    if error.status == 404:
        return ClusterError(f"The cluster at {host} does not have it: {message}.")
    return ClusterError(f"The cluster at {host} refused ({error.status}): {message}.")


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
