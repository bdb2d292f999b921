"""What a custom resource is to us: its type, how to read its state, and the plan of one that is to be created."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ropewalk.errors import ConfigError

SPEC_HASH = "ropewalk.dev/spec-hash"
"""Annotation: SHA-256 (hex) of the spec that was sent, by which a second attempt knows its own resource."""
IDENTITY = "ropewalk.dev/identity"
"""Annotation: what the name was made from, for people."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "ropewalk"}

WAITING = "waiting"
RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"

_NAME_HASH = 16
_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True, kw_only=True)
class State:
    """How far a resource is."""

    phase: str
    """One of WAITING, RUNNING, SUCCEEDED and FAILED."""
    reason: str = ""
    """The controller's word for it, such as "DeadlineExceeded"; "" when it gave none."""
    message: str = ""
    """The controller's sentence; "" when it gave none."""

    def __str__(self) -> str:
        detail = ": ".join(part for part in (self.reason, self.message) if part)
        return f"{self.phase} ({detail})" if detail else self.phase


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A kind of custom resource."""

    group: str
    """API group, such as "trainer.kubeflow.org"."""
    version: str
    """API version, such as "v1alpha1"."""
    plural: str
    """Its name in URLs and roles, such as "trainjobs"."""
    kind: str
    """Its name in manifests, such as "TrainJob"."""
    product: str
    """What an administrator installs to have it, such as "Kubeflow Trainer"."""
    guide: str
    """The page of the documentation that says which release is needed, such as "docs/cluster-training.md"."""
    read_state: Callable[[Mapping[str, Any]], State]
    """Tells the state of a resource as the API server returns it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request that is ready to be sent: nothing has been asked of the cluster yet."""

    type: ResourceType
    body: Mapping[str, Any] = field(repr=False)
    """The whole manifest, without a namespace."""

    @property
    def name(self) -> str:
        """The resource's name: the same for the same identity."""
        return str(self.body["metadata"]["name"])

    @property
    def spec_hash(self) -> str:
        """SHA-256 (hex) of the spec."""
        return str(self.body["metadata"]["annotations"][SPEC_HASH])


def plan_resource(
    resource_type: ResourceType,
    *,
    prefix: str,
    identity: str,
    spec: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
) -> Plan:
    """Return the request for a resource that belongs to `identity`.

    The name is made from `identity` alone and the spec's hash is an annotation, so that a second attempt of the same
    work finds the first one's resource, and one with another spec is told apart instead of silently running twice.

    Args:
        resource_type: What it is.
        prefix: Start of the name: lower-case letters, digits and dashes, at most 16.
        identity: What the resource is for, unique over all namespaces: the URI of a pipeline step's output holds the
            run's id, the task and the loop's iteration, and is the same in every retry.
        spec: Its spec.
        labels: Labels besides MANAGED_BY.

    Raises:
        ConfigError: There is no identity, or the prefix cannot start a name.
    """
    if not identity:
        raise ConfigError("identity='': a resource needs what it is for, such as the URI of the step's output.")
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"prefix={prefix!r}: need a lower-case letter, then at most 15 letters, digits or dashes.")
    metadata = {"name": f"{prefix}-{_sha256(identity)[:_NAME_HASH]}", "labels": dict(labels or {})}
    return plan_manifest(resource_type, {"metadata": metadata, "spec": dict(spec)}, identity=identity)


def plan_manifest(resource_type: ResourceType, manifest: Mapping[str, Any], *, identity: str) -> Plan:
    """Return the request for a resource whose name and spec are made already; a namespace in it is left out.

    Args:
        resource_type: What it is.
        manifest: With metadata and spec.
        identity: What the name was made from.
    """
    metadata = dict(manifest["metadata"])
    metadata.pop("namespace", None)
    metadata["labels"] = MANAGED_BY | metadata.get("labels", {})
    spec_hash = _sha256(json.dumps(manifest["spec"], sort_keys=True))
    metadata["annotations"] = {**metadata.get("annotations", {}), IDENTITY: identity, SPEC_HASH: spec_hash}
    body = {"apiVersion": f"{resource_type.group}/{resource_type.version}", "kind": resource_type.kind}
    return Plan(type=resource_type, body={**body, "metadata": metadata, "spec": manifest["spec"]})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
