"""Who may do what: the role that is needed, and what to say when it is missing."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

Role = Literal["training", "tuning"]
TRAINING: Role = "training"
TUNING: Role = "tuning"
"""What a step does on the cluster; rbac-ROLE.yaml has what that needs."""

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'( in API group "(?P<group>[^"]*)")?( in the namespace "(?P<namespace>[^"]+)")?'
)
_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<name>.+)")


@dataclass(frozen=True, kw_only=True, order=True)
class Permission:
    """One thing that one may do in a namespace."""

    group: str
    """API group; "" is the core group."""
    resource: str
    """Plural, with the subresource: "pods/log"."""
    verb: str
    """Such as "create"."""

    def __str__(self) -> str:
        return f"{self.verb} on {self.resource}" + (f" ({self.group})" if self.group else "")


def rbac_manifest(*, namespace: str, service_account: str, role: Role = TRAINING) -> str:
    """Return the YAML of the role and binding that let `service_account` do its work in `namespace`.

    Args:
        namespace: Where the steps run.
        service_account: What they run as.
        role: "training": launch training jobs; "tuning": run experiments.
    """
    template = files("ropewalk.cluster").joinpath(f"rbac-{role}.yaml").read_text(encoding="utf-8")
    manifest = template.partition("apiVersion:")
    return "".join(manifest[1:]).replace("SERVICE_ACCOUNT", service_account).replace("NAMESPACE", namespace)


def granted_permissions(role: Role) -> list[Permission]:
    """Return what rbac-ROLE.yaml grants: one list for the administrator, for the check and for the message."""
    import yaml

    manifest = next(yaml.safe_load_all(rbac_manifest(namespace="any", service_account="any", role=role)))
    return [
        Permission(group=group, resource=resource, verb=verb)
        for rule in manifest["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def lacking(user: str, namespace: str, missing: Iterable[Permission], role: Role) -> str:
    """Return the message for missing permissions, with the YAML that grants them."""
    account = _SERVICE_ACCOUNT.fullmatch(user)
    who = f"Service account {account['name']} in namespace {account['namespace']}" if account else f"User {user}"
    name = account["name"] if account else "SERVICE_ACCOUNT"
    wanted = "; ".join(f"verb {permission}" for permission in sorted(missing))
    manifest = rbac_manifest(namespace=namespace, service_account=name, role=role)
    return (
        f"{who} lacks, in namespace {namespace}: {wanted}. Nothing more was started. Have an administrator apply this "
        f"with kubectl apply -f, then run again:\n{manifest}"
    )


def forbidden(message: str, namespace: str, role: Role) -> str:
    """Return what to say to the API server's "forbidden", whose own words are `message`."""
    found = _FORBIDDEN.search(message)
    if not found:
        return f"The cluster refused: {message}. Its administrator can tell which policy is behind that."
    permission = Permission(group=found["group"] or "", resource=found["resource"], verb=found["verb"])
    return lacking(found["user"], found["namespace"] or namespace, [permission], role)
