"""Reads from the cluster's API, and tells "not there" from "not for us"."""

from typing import Any

from ropewalk.cluster.connection import Cluster
from ropewalk.errors import ClusterError

_FORBIDDEN = 403


class NotAllowedError(ClusterError):
    """We may not read it: whether it is there is not known."""


def read(cluster: Cluster, path: str) -> dict[str, Any] | None:
    """Return what is at `path`, None when nothing is.

    Raises:
        NotAllowedError: We may not look.
        ClusterError: The cluster refuses for another reason.
        ServiceError: It does not answer.
    """
    try:
        return cluster.read(path)
    except ClusterError as error:
        if getattr(error.__cause__, "status", None) == _FORBIDDEN:
            raise NotAllowedError(f"We may not read {path}.") from error
        raise
