"""The API server: few calls, each patient with what passes by itself, each refusal explained.

The `kubernetes` client loads only when a cluster is connected to, because that takes half a second.
"""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ropewalk.cluster.access import TRAINING, Permission, Role, lacking
from ropewalk.cluster.patience import LONGEST_PAUSE, Patience
from ropewalk.cluster.refusals import asked_pause, explained, nothing_there
from ropewalk.cluster.resource import Plan, ResourceType
from ropewalk.errors import ClusterError, ServiceError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import HTTPResponse

_PASSING = {429, 500, 502, 503, 504}
_TIMEOUT = (5.0, 30.0)
_FIRE_AND_FORGET = 3.0

Result = TypeVar("Result")


class Cluster:
    """A namespace of a Kubernetes cluster, as seen by one service account."""

    def __init__(self, client: ApiClient, namespace: str, *, patience: Patience, role: Role = TRAINING) -> None:
        self.namespace = namespace
        self.patience = patience
        self.role = role
        self._client = client

    def create(self, plan: Plan, owners: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any] | None:
        """Create what is planned and return it, or None when there is one of that name.

        Unknown fields are refused by the server, not dropped: an old release must not ignore half of a plan.
        """
        from kubernetes.client import CustomObjectsApi

        owned = {"ownerReferences": list(owners)} if owners else {}
        body = dict(plan.body) | {"metadata": dict(plan.body["metadata"]) | owned}
        return self._send(
            lambda: CustomObjectsApi(self._client).create_namespaced_custom_object(
                *self._path(plan.type), body, field_validation="Strict", _request_timeout=_TIMEOUT
            ),
            of=plan.type,
            absent={409},
        )

    def get(self, resource_type: ResourceType, name: str) -> dict[str, Any] | None:
        """Return the resource, or None when there is none of that name."""
        from kubernetes.client import CustomObjectsApi

        return self._send(
            lambda: CustomObjectsApi(self._client).get_namespaced_custom_object(
                *self._path(resource_type), name, _request_timeout=_TIMEOUT
            ),
            of=resource_type,
            absent={404},
        )

    def resources(self, resource_type: ResourceType, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the resources of this namespace that have all `labels`."""
        from kubernetes.client import CustomObjectsApi

        found = self._send(
            lambda: CustomObjectsApi(self._client).list_namespaced_custom_object(
                *self._path(resource_type), label_selector=_selector(labels), _request_timeout=_TIMEOUT
            ),
            of=resource_type,
        )
        return list((found or {})["items"])

    def patch(self, resource_type: ResourceType, name: str, changes: Mapping[str, Any]) -> None:
        """Merge `changes` into a resource (RFC 7386); one that is gone is left gone."""
        from kubernetes.client import CustomObjectsApi

        self._send(
            lambda: CustomObjectsApi(self._client).patch_namespaced_custom_object(
                *self._path(resource_type), name, dict(changes), _request_timeout=_TIMEOUT
            ),
            absent={404},
        )

    def delete(self, resource_type: ResourceType, name: str, *, uid: str | None = None) -> None:
        """Have the resource deleted, its pods first; a `uid` spares another one that took its name meanwhile."""
        self._send(lambda: self._delete(resource_type, name, uid, _TIMEOUT), absent={404, 409})

    def delete_at_once(self, resource_type: ResourceType, name: str) -> bool:
        """Ask once for the deletion, for a process that has seconds to live; return whether the server agreed."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            self._delete(resource_type, name, None, (_FIRE_AND_FORGET, _FIRE_AND_FORGET))
        except ApiException as error:
            return bool(error.status == 404)
        except (HTTPError, OSError):
            return False
        return True

    def wait_for_change(self, resource_type: ResourceType, resource: Mapping[str, Any], seconds: float) -> None:
        """Return when the resource has changed or is gone, after `seconds` at the latest.

        It may return early: when the server's watch has expired or broke off. Whoever calls looks again anyway.
        """
        from kubernetes.client import CustomObjectsApi
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        metadata = resource["metadata"]
        try:
            response = CustomObjectsApi(self._client).list_namespaced_custom_object(
                *self._path(resource_type),
                field_selector=f"metadata.name={metadata['name']}",
                resource_version=metadata["resourceVersion"],
                timeout_seconds=max(1, round(seconds)),
                watch=True,
                _preload_content=False,
                _request_timeout=(_TIMEOUT[0], seconds),
            )
        except ApiException as error:
            if error.status not in _PASSING | {410}:
                raise explained(error, self.host, self.namespace, self.role, resource_type) from error
            time.sleep(_shortened(min(seconds, self.patience.first_retry)))
            return
        except (HTTPError, OSError):
            time.sleep(_shortened(min(seconds, self.patience.first_retry)))
            return
        try:
            next(response.stream(), None)
        except (HTTPError, OSError):
            pass  # Time is up, or the connection broke: either way the caller looks again.
        finally:
            response.close()

    def pod(self, name: str) -> dict[str, Any] | None:
        """Return a pod as the API server sends it, or None when there is none of that name."""
        from kubernetes.client import CoreV1Api

        return self._send(
            lambda: _json(
                CoreV1Api(self._client).read_namespaced_pod(
                    name, self.namespace, _preload_content=False, _request_timeout=_TIMEOUT
                )
            ),
            absent={404},
        )

    def pods(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the pods that have all `labels`, as the API server sends them."""
        from kubernetes.client import CoreV1Api

        found = self._send(
            lambda: _json(
                CoreV1Api(self._client).list_namespaced_pod(
                    self.namespace, label_selector=_selector(labels), _preload_content=False, _request_timeout=_TIMEOUT
                )
            )
        )
        return list((found or {})["items"])

    def delete_pod(self, name: str) -> None:
        """Have a pod deleted; its processes get the pod's own time to end."""
        from kubernetes.client import CoreV1Api

        self._send(
            lambda: _json(
                CoreV1Api(self._client).delete_namespaced_pod(
                    name, self.namespace, _preload_content=False, _request_timeout=_TIMEOUT
                )
            ),
            absent={404},
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of the object called `name`, oldest first."""
        from kubernetes.client import CoreV1Api

        found = self._send(
            lambda: _json(
                CoreV1Api(self._client).list_namespaced_event(
                    self.namespace,
                    field_selector=f"involvedObject.name={name}",
                    _preload_content=False,
                    _request_timeout=_TIMEOUT,
                )
            )
        )
        return sorted((found or {})["items"], key=lambda event: event.get("lastTimestamp") or "")

    def log_tail(self, pod: str, container: str, *, lines: int, previous: bool) -> list[str]:
        """Return the last lines of a container's log, [] when there is none; `previous`: before its last restart."""
        from kubernetes.client import CoreV1Api

        found = self._send(
            lambda: CoreV1Api(self._client).read_namespaced_pod_log(
                pod,
                self.namespace,
                container=container,
                tail_lines=lines,
                previous=previous,
                _preload_content=False,
                _request_timeout=_TIMEOUT,
            ),
            absent={400, 404},
        )
        return found.data.decode(errors="replace").splitlines() if found else []

    def open_log(self, pod: str, container: str, *, follow: bool) -> HTTPResponse:
        """Return the stream of a container's log from its start, a time stamp before each line.

        Raises:
            urllib3.exceptions.HTTPError, kubernetes.client.exceptions.ApiException: It cannot be had now.
        """
        from kubernetes.client import CoreV1Api

        response: HTTPResponse = CoreV1Api(self._client).read_namespaced_pod_log(
            pod,
            self.namespace,
            container=container,
            follow=follow,
            timestamps=True,
            _preload_content=False,
            # A silent job is no broken connection: only the connecting has a limit.
            _request_timeout=(_TIMEOUT[0], None),
        )
        return response

    def require(self, permissions: Iterable[Permission]) -> None:
        """Check that we may do all of it, before anything is started.

        Raises:
            ClusterError: Something is not allowed; the message has the role that is missing.
        """
        missing = self.lacks(permissions)
        if missing:
            raise ClusterError(lacking(self._user(), self.namespace, missing, self.role))

    def lacks(self, permissions: Iterable[Permission]) -> list[Permission]:
        """Return those of `permissions` that we do not have, by the API server's own review."""
        return [permission for permission in permissions if not self._may(permission)]

    def read(self, path: str) -> dict[str, Any] | None:
        """Return what the API server has at `path`, such as "/version", or None when there is nothing."""
        return self._send(
            lambda: _json(
                self._client.call_api(
                    path,
                    "GET",
                    header_params={"Accept": "application/json"},
                    auth_settings=["BearerToken"],
                    _preload_content=False,
                    _request_timeout=_TIMEOUT,
                    _return_http_data_only=True,
                )
            ),
            absent={404},
        )

    def serves(self, group: str, version: str, plural: str) -> bool:
        """Return whether the cluster has such resources; whoever may log in may ask that."""
        from kubernetes.client import CustomObjectsApi

        found = self._send(
            lambda: CustomObjectsApi(self._client).get_api_resources(group, version, _request_timeout=_TIMEOUT),
            absent={404},
        )
        return found is not None and any(each.name == plural for each in found.resources)

    def _may(self, permission: Permission) -> bool:
        from kubernetes.client import AuthorizationV1Api

        resource, _, subresource = permission.resource.partition("/")
        wanted = {
            "namespace": self.namespace,
            "group": permission.group,
            "resource": resource,
            "subresource": subresource,
            "verb": permission.verb,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in wanted.items() if value}},
        }
        answer = self._send(
            lambda: _json(
                AuthorizationV1Api(self._client).create_self_subject_access_review(
                    review, _preload_content=False, _request_timeout=_TIMEOUT
                )
            )
        )
        return bool((answer or {})["status"]["allowed"])

    def _user(self) -> str:
        """Return who we are by our own token, which needs no permission to ask."""
        token = str(self._client.configuration.api_key.get("authorization", "")).rpartition(" ")[2]
        try:
            payload = token.split(".")[1]
            return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])
        except (IndexError, KeyError, ValueError):
            return "of this kubeconfig"

    def _path(self, resource_type: ResourceType) -> tuple[str, str, str, str]:
        return resource_type.group, resource_type.version, self.namespace, resource_type.plural

    def _delete(self, resource_type: ResourceType, name: str, uid: str | None, timeout: tuple[float, float]) -> None:
        from kubernetes.client import CustomObjectsApi

        options = {"propagationPolicy": "Foreground"} | ({"preconditions": {"uid": uid}} if uid else {})
        CustomObjectsApi(self._client).delete_namespaced_custom_object(
            *self._path(resource_type), name, body=options, _request_timeout=timeout
        )

    def _send(
        self,
        call: Callable[[], Result],
        *,
        of: ResourceType | None = None,
        absent: frozenset[int] | set[int] = frozenset(),
    ) -> Result | None:
        """Return what `call` returns; None for a status in `absent`. Tries again as long as that may help."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        deadline, pause = time.monotonic() + self.patience.unreachable, self.patience.first_retry
        while True:
            problem: Exception
            try:
                return call()
            except ApiException as error:
                if error.status in absent and not (of and nothing_there(error)):
                    return None
                if error.status not in _PASSING:
                    raise explained(error, self.host, self.namespace, self.role, of) from error
                problem, pause = error, max(pause, asked_pause(error))
            except (HTTPError, OSError) as error:
                problem = error
            if time.monotonic() + pause > deadline:
                raise ServiceError(self._unreachable(problem)) from problem
            time.sleep(_shortened(pause))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _unreachable(self, problem: Exception) -> str:
        return (
            f"The cluster's API server at {self.host} has not answered as it should for "
            f"{self.patience.unreachable:.0f} s. What runs on the cluster goes on; run the step again to go on "
            f"watching it. The last answer: {str(problem).strip()[:500]}"
        )

    @property
    def host(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())


def _json(response: HTTPResponse) -> dict[str, Any]:
    return dict(json.loads(response.data))


def _shortened(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)
