"""The Argo Workflow that this pod belongs to: what it owns is deleted with it, whatever happens to us."""

import os
from typing import Any

from ropewalk.cluster.connection import Cluster


def workflow_owner(cluster: Cluster) -> list[dict[str, Any]]:
    """Return the owner reference to the Workflow of this step, [] when this is no pod of one.

    The pod itself would be the wrong owner: a retry replaces the pod, and must find the resource still there.
    """
    name = os.environ.get("KFP_POD_NAME") or os.environ.get("HOSTNAME", "")
    # Asked for in the resource's namespace: an owner in another one would count as gone, and the resource go with it.
    pod = cluster.pod(name) if name and "KUBERNETES_SERVICE_HOST" in os.environ else None
    owners = (pod or {}).get("metadata", {}).get("ownerReferences", [])
    kept = ("apiVersion", "kind", "name", "uid")
    return [
        # Blocking the Workflow's deletion would need a permission on its finalizers.
        {key: owner[key] for key in kept} | {"blockOwnerDeletion": False, "controller": False}
        for owner in owners
        if owner["kind"] == "Workflow" and owner["apiVersion"].startswith("argoproj.io/")
    ]
