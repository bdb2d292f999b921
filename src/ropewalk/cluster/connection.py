"""The API server: few calls, each patient with what passes by itself, each refusal explained.

The `kubernetes` client loads only when a cluster is connected to, because that takes half a second.
"""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ropewalk.cluster.access import Permission, forbidden, lacking
from ropewalk.cluster.resource import Plan, ResourceType
from ropewalk.errors import ClusterError, ConfigError, ServiceError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from kubernetes.client.exceptions import ApiException
    from urllib3 import HTTPResponse

_IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PASSING = {429, 500, 502, 503, 504}
_TIMEOUT = (5.0, 30.0)
_FIRE_AND_FORGET = 3.0
_LONGEST_PAUSE = 30.0

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for what, in seconds, each above 0."""

    shortest_poll: float = 1.0
    """Between two looks at a resource, at least."""
    longest_poll: float = 10.0
    """Between two looks at a resource, at most; a change is seen at once all the same."""
    first_retry: float = 0.5
    """Pause after the first failed request; doubles up to 30 s, each shortened by chance by up to a half."""
    unreachable: float = 600.0
    """How long the API server may be away before we give up; what runs on the cluster goes on meanwhile."""
    notice: float = 20.0
    """How long a pod may be held up before a line says so."""
    blocked: float = 180.0
    """How long an image that cannot be pulled, or a missing secret, is waited for."""
    deletion: float = 300.0
    """How long a deleted resource may take to be gone."""
    log_end: float = 15.0
    """How long to wait for the end of a log once all has ended."""


class Cluster:
    """A namespace of a Kubernetes cluster, as seen by one service account."""

    def __init__(self, client: ApiClient, namespace: str, *, patience: Patience) -> None:
        self.namespace = namespace
        self.patience = patience
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
            product=plan.type.product,
            absent={409},
        )

    def get(self, resource_type: ResourceType, name: str) -> dict[str, Any] | None:
        """Return the resource, or None when there is none of that name."""
        from kubernetes.client import CustomObjectsApi

        return self._send(
            lambda: CustomObjectsApi(self._client).get_namespaced_custom_object(
                *self._path(resource_type), name, _request_timeout=_TIMEOUT
            ),
            product=resource_type.product,
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
                raise self._explained(error, resource_type.product) from error
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

        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        found = self._send(
            lambda: _json(
                CoreV1Api(self._client).list_namespaced_pod(
                    self.namespace, label_selector=selector, _preload_content=False, _request_timeout=_TIMEOUT
                )
            )
        )
        return list((found or {})["items"])

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
        missing = [permission for permission in permissions if not self._may(permission)]
        if missing:
            raise ClusterError(lacking(self._user(), self.namespace, missing))

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
        self, call: Callable[[], Result], *, product: str = "", absent: frozenset[int] | set[int] = frozenset()
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
                if error.status in absent and not (product and _nothing_there(error)):
                    return None
                if error.status not in _PASSING:
                    raise self._explained(error, product) from error
                problem, pause = error, max(pause, _asked_pause(error))
            except (HTTPError, OSError) as error:
                problem = error
            if time.monotonic() + pause > deadline:
                raise ServiceError(self._unreachable(problem)) from problem
            time.sleep(_shortened(pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _explained(self, error: ApiException, product: str) -> ClusterError:
        message = _message(error)
        if error.status == 401:
            return ClusterError(
                f"The cluster at {self._host} does not know us: {message}. In a pod, its service account's token is "
                "wrong or has expired; elsewhere, log in to the cluster again (kubectl get pods must work)."
            )
        if error.status == 403:
            return ClusterError(forbidden(message, self.namespace))
        if error.status == 404 and _nothing_there(error):
            return ClusterError(
                f"{product or 'What is asked for'} is not installed in the cluster at {self._host}, or in a version "
                "that Ropewalk does not know. Have an administrator install it; docs/cluster-training.md says which."
            )
        if error.status == 404:
            return ClusterError(f"The cluster at {self._host} does not have it: {message}.")
        return ClusterError(f"The cluster at {self._host} refused ({error.status}): {message}.")

    def _unreachable(self, problem: Exception) -> str:
        return (
            f"The cluster's API server at {self._host} has not answered as it should for "
            f"{self.patience.unreachable:.0f} s. What runs on the cluster goes on; run the step again to go on "
            f"watching it. The last answer: {str(problem).strip()[:500]}"
        )

    @property
    def _host(self) -> str:
        return str(self._client.configuration.host)


def connect(*, namespace: str = "", patience: Patience = Patience()) -> Cluster:
    """Return the cluster that this pod is in or, elsewhere, that of the current kubeconfig context.

    Args:
        namespace: Where to work; "" is the pod's own, or the context's.
        patience: How long to wait for what.

    Raises:
        ConfigError: There is neither a pod nor a kubeconfig, or no namespace.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
            default = (_IN_POD / "namespace").read_text(encoding="utf-8").strip()
        else:
            # The client reads KUBECONFIG when it is imported, and not again.
            file = os.environ.get("KUBECONFIG")
            config.load_kube_config(config_file=file, client_configuration=configuration)
            default = config.list_kube_config_contexts(config_file=file)[1]["context"].get("namespace", "")
    except (config.ConfigException, OSError) as error:
        raise ConfigError(
            f"There is no cluster to train on: this is no pod with a service account, and no kubeconfig can be used "
            f"({error}). Set KUBECONFIG, or leave the cluster's settings empty to train in this process."
        ) from error
    if not (namespace or default):
        raise ConfigError("No namespace is set. Give one in the cluster's settings, such as {'namespace': 'team-a'}.")
    # Trying again is decided here: urllib3 would do so without a pause, and hide what happened.
    configuration.retries = False
    return Cluster(client.ApiClient(configuration), namespace or default, patience=patience)


def _json(response: HTTPResponse) -> dict[str, Any]:
    return dict(json.loads(response.data))


def _shortened(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)


def _asked_pause(error: ApiException) -> float:
    asked = (error.headers or {}).get("Retry-After", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isdigit() else 0.0


def _status(error: ApiException) -> dict[str, Any]:
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _message(error: ApiException) -> str:
    return str(_status(error).get("message") or error.reason or error.status).rstrip(".")


def _nothing_there(error: ApiException) -> bool:
    """Return whether the URL itself is unknown (no such kind of resource), or its namespace; not just the object."""
    details = _status(error).get("details") or {}
    return error.status == 404 and (not details.get("name") or details.get("kind") == "namespaces")
