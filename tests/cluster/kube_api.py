"""A Kubernetes API server over HTTP, as far as Ropewalk needs one: for the real client, with faults on demand.

It keeps TrainJobs, pods, logs and events, holds what is sent against the published schema, records who asked for
what, and answers errors in the words of the real one.
"""

import base64
import json
import re
import socket
import ssl
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "team-a"
USER = f"system:serviceaccount:{NAMESPACE}:default-editor"
GROUP = "trainer.kubeflow.org"

_CUSTOM = re.compile(rf"/apis/{GROUP}/v1alpha1/namespaces/([^/]+)/trainjobs(?:/([^/]+))?")
_CORE = re.compile(r"/api/v1/namespaces/([^/]+)/(pods|events)(?:/([^/]+)(/log)?)?")
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

# The fields that we send, from pkg/apis/trainer/v1alpha1/trainjob_types.go (Kubeflow Trainer 2.2 to 2.4) and core/v1.
MAP = {"*": str}
ANY = {"*": object}
NAMED = {"name": str, "*": object}
SPEC = {
    "runtimeRef": {"apiGroup": str, "kind": str, "name": str},
    "trainer": {
        "image": str,
        "command": [str],
        "args": [str],
        "env": [{"name": str, "value": str, "valueFrom": ANY}],
        "numNodes": int,
        "numProcPerNode": int,
        "resourcesPerNode": {"limits": MAP, "requests": MAP},
    },
    "runtimePatches": [
        {
            "manager": str,
            "trainingRuntimeSpec": {
                "template": {
                    "spec": {
                        "replicatedJobs": [
                            {
                                "name": str,
                                "template": {
                                    "spec": {
                                        "template": {
                                            "metadata": {"labels": MAP, "annotations": MAP},
                                            "spec": {
                                                "serviceAccountName": str,
                                                "volumes": [NAMED],
                                                "containers": [{"name": str, "volumeMounts": [NAMED]}],
                                                "imagePullSecrets": [{"name": str}],
                                                "nodeSelector": MAP,
                                                "affinity": ANY,
                                                "tolerations": [ANY],
                                                "securityContext": ANY,
                                            },
                                        }
                                    }
                                },
                            }
                        ]
                    }
                }
            },
        }
    ],
    "activeDeadlineSeconds": int,
    "suspend": bool,
}


def problems(value: Any, schema: Any, path: str) -> Iterator[str]:
    """Yield what of `value` the schema does not allow."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            yield f"{path}: Invalid value: must be an object"
            return
        for name, entry in value.items():
            known = schema.get(name, schema.get("*"))
            if known is None:
                yield f'unknown field "{path}.{name}"'
            else:
                yield from problems(entry, known, f"{path}.{name}")
    elif isinstance(schema, list):
        if not isinstance(value, list):
            yield f"{path}: Invalid value: must be an array"
            return
        for number, entry in enumerate(value):
            yield from problems(entry, schema[0], f"{path}[{number}]")
    elif not isinstance(value, schema) or (schema is int and isinstance(value, bool)):
        yield f"{path}: Invalid value: {value!r}: must be of type {schema.__name__}"


def token() -> str:
    """Return a service account's token, unsigned."""
    payload = base64.urlsafe_b64encode(json.dumps({"sub": USER}).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2lnbmF0dXJl"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Fault:
    """What goes wrong with the next requests of one kind."""

    verb: str
    resource: str
    action: Any
    """A status; "reset": the connection is cut before anything happens; "lost": after it has happened;
    "expired": a watch ends with 410; ("cut", n): a log breaks off after n lines."""
    times: int


@dataclass
class Log:
    """What a container prints."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    over: bool = False


class KubeApi:
    """The server and what it keeps."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.logs: dict[str, Log] = {}
        self.events: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, str]] = []
        """(group, resource, verb) of every request that was let in."""
        self.bodies: list[dict[str, Any]] = []
        """Every TrainJob that was sent."""
        self.installed = True
        self.token_expired = False
        self.fields_dropped_by_old_release: set[str] = set()
        self.denied: set[tuple[str, str]] = set()
        """(resource, verb) that reviews and requests are refused."""
        self.hidden_denied: set[tuple[str, str]] = set()
        """(resource, verb) that reviews allow and requests do not."""
        self.faults: list[Fault] = []
        self.deletion_seconds = 0.0
        self.on_create: Callable[[dict[str, Any]], None] = lambda job: None
        self.on_delete: Callable[[dict[str, Any]], None] = lambda job: None
        self.on_delete_pod: Callable[[dict[str, Any]], None] = lambda pod: None
        self._version = 100
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def start(self, *, certificate: Path | None = None) -> None:
        """Serve; with a certificate (and its key in the same file) over TLS."""
        api = self

        class Handler(_Handler):
            kube = api

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Go away as a server does that is restarted: connections break, what is kept stays."""
        assert self._server
        self._server.shutdown()
        self._server.server_close()
        self._server.cut_all()

    def fail(self, verb: str, resource: str, action: Any, times: int = 1) -> None:
        self.faults.append(Fault(verb, resource, action, times))

    def fault(self, verb: str, resource: str) -> Any:
        with self.changed:
            for fault in self.faults:
                if (fault.verb, fault.resource) == (verb, resource) and fault.times > 0:
                    fault.times -= 1
                    return fault.action
        return None

    def touch(self, item: dict[str, Any]) -> None:
        with self.changed:
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
            self.changed.notify_all()

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        job = json.loads(json.dumps(body))
        for name in self.fields_dropped_by_old_release:
            job["spec"].pop(name, None)
        job["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "namespace": NAMESPACE}
        with self.changed:
            self.jobs[job["metadata"]["name"]] = job
            self.touch(job)
        self.on_create(job)
        return job

    def delete(self, name: str) -> None:
        """Delete with dependents first: it is marked, its pods end, then it is gone."""
        with self.changed:
            job = self.jobs[name]
            if "deletionTimestamp" in job["metadata"]:
                return
            job["metadata"]["deletionTimestamp"] = now()
            self.touch(job)

        def remove() -> None:
            time.sleep(self.deletion_seconds)
            self.on_delete(job)
            with self.changed:
                uid = job["metadata"]["uid"]
                for pod in [pod for pod in self.pods.values() if pod["metadata"]["labels"].get("job-uid") == uid]:
                    self.pods.pop(pod["metadata"]["name"])
                if self.jobs.get(name) is job:
                    self.jobs.pop(name)
                self._version += 1
                self.changed.notify_all()

        threading.Thread(target=remove, daemon=True).start()

    def set_status(self, name: str, **status: Any) -> None:
        with self.changed:
            self.jobs[name]["status"] = status
            self.touch(self.jobs[name])

    def conclude(self, name: str, kind: str, *, reason: str = "", message: str = "") -> None:
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        self.set_status(name, conditions=[condition])

    def add_pod(self, job: dict[str, Any], rank: int, *, phase: str = "Running", suffix: str = "") -> dict[str, Any]:
        name = f"{job['metadata']['name']}-node-0-{rank}{suffix}"
        labels = {
            "jobset.sigs.k8s.io/jobset-name": job["metadata"]["name"],
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": str(rank),
            "job-uid": job["metadata"]["uid"],
        }
        state = {"running": {"startedAt": now()}} if phase == "Running" else {}
        pod = {
            "metadata": {"name": name, "uid": str(uuid.uuid4()), "labels": labels, "creationTimestamp": now()},
            "status": {"phase": phase, "containerStatuses": [{"name": "node", "state": state, "lastState": {}}]},
        }
        with self.changed:
            self.pods[name] = pod
            self.logs.setdefault(name, Log())
            self.touch(pod)
        return pod

    def delete_pod(self, pod: dict[str, Any]) -> None:
        """Have a pod gone, as its controller will notice."""
        with self.changed:
            self.pods.pop(pod["metadata"]["name"], None)
            self.on_delete_pod(pod)

    def serve_more(self, handler: Any, method: str, path: str) -> bool:
        """Answer requests for further kinds of resources; return whether this was one."""
        return False

    def wait_state(self, pod: dict[str, Any], reason: str, message: str) -> None:
        with self.changed:
            pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": reason, "message": message}}
            self.touch(pod)

    def end_pod(self, pod: dict[str, Any], code: int, *, reason: str = "", finished: str = "") -> None:
        ended = {
            "exitCode": code,
            "reason": reason or ("Error" if code else "Completed"),
            "finishedAt": finished or now(),
        }
        with self.changed:
            pod["status"]["phase"] = "Failed" if code else "Succeeded"
            pod["status"]["containerStatuses"][0]["state"] = {"terminated": ended}
            self.logs[pod["metadata"]["name"]].over = True
            self.touch(pod)

    def print(self, pod: dict[str, Any], *lines: str, stamp: str = "") -> None:
        with self.changed:
            self.logs[pod["metadata"]["name"]].lines += [(stamp or now(), line) for line in lines]
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Return what `condition` returns once it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self.changed:
                if found := condition():
                    return found
                self.changed.wait(0.02)
        raise AssertionError(f"not within {seconds} s; jobs: {self.jobs}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def cut_all(self) -> None:
        for connection in self.connections:
            cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # Broken connections are what these tests are about.


def cut(connection: socket.socket) -> None:
    """Reset a connection: the other side gets ECONNRESET, not an end of file."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kube: KubeApi

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def do_DELETE(self) -> None:
        self._route("DELETE")

    def do_PATCH(self) -> None:
        self._route("PATCH")

    def _route(self, method: str) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(length)) if length else {}
        scheme, _, given = (self.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or given != token() or self.kube.token_expired:
            self._fail(401, "Unauthorized")
        elif parts.path == _REVIEW:
            self._review()
        elif found := _CUSTOM.fullmatch(parts.path):
            self._trainjobs(method, found[1], found[2])
        elif found := _CORE.fullmatch(parts.path):
            self._core(method, found[1], found[2], found[3], found[4])
        elif not self.kube.serve_more(self, method, parts.path):
            self._text(404, "404 page not found\n")

    def _review(self) -> None:
        wanted = self.body["spec"]["resourceAttributes"]
        resource = "/".join(part for part in (wanted["resource"], wanted.get("subresource")) if part)
        allowed = (resource, wanted["verb"]) not in self.kube.denied
        self._json(201, self.body | {"status": {"allowed": allowed}})

    def _trainjobs(self, method: str, namespace: str, name: str | None) -> None:
        if not self.kube.installed:
            self._text(404, "404 page not found\n")
            return
        watch = self.query.get("watch") in ("true", "True")
        verb = {"POST": "create", "DELETE": "delete"}.get(method) or ("get" if name else "watch" if watch else "list")
        if not self._let_in(GROUP, "trainjobs", verb, namespace):
            return
        action = self.kube.fault(verb, "trainjobs")
        if isinstance(action, int):
            self._fail(action, "the server is overloaded", headers={"Retry-After": "1"} if action == 429 else {})
        elif action == "reset":
            cut(self.connection)
        elif action == "expired":
            self._expire()
        else:
            lost = action == "lost"
            {"create": self._create, "delete": self._delete, "get": self._get, "watch": self._watch}[verb](name, lost)

    def _create(self, _name: str | None, lost: bool) -> None:
        assert self.query["fieldValidation"] == "Strict"
        self.kube.bodies.append(self.body)
        wrong = list(problems(self.body["spec"], SPEC, "spec"))
        wrong += [f'unknown field "spec.{name}"' for name in self.kube.fields_dropped_by_old_release]
        name = self.body["metadata"]["name"]
        if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > 39:
            wrong.append("metadata.name must match RFC 1035 DNS label format")
        wrong += [
            f"metadata.labels: Invalid value: {value!r}"
            for value in self.body["metadata"]["labels"].values()
            if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value)
        ]
        if wrong:
            self._fail(400, f"strict decoding error: {', '.join(wrong)}")
            return
        with self.kube.changed:
            taken = name in self.kube.jobs
            job = None if taken else self.kube.create(self.body)
        if taken:
            self._fail(409, f'trainjobs.{GROUP} "{name}" already exists', details={"name": name, "kind": "trainjobs"})
        elif lost:
            cut(self.connection)
        else:
            self._json(201, job)

    def _get(self, name: str | None, _lost: bool) -> None:
        with self.kube.changed:
            job = self.kube.jobs.get(str(name))
            self._json(200, job) if job else self._missing(name, "trainjobs", f"trainjobs.{GROUP}")

    def _delete(self, name: str | None, _lost: bool) -> None:
        assert self.body["propagationPolicy"] == "Foreground"
        with self.kube.changed:
            job = self.kube.jobs.get(str(name))
            uid = self.body.get("preconditions", {}).get("uid")
            if not job:
                self._missing(name, "trainjobs", f"trainjobs.{GROUP}")
                return
            if uid and uid != job["metadata"]["uid"]:
                self._fail(409, "the UID in the precondition does not match", details={"name": name})
                return
            self.kube.delete(str(name))
            self._json(200, job)

    def _watch(self, _name: str | None, _lost: bool) -> None:
        name = self.query["fieldSelector"].removeprefix("metadata.name=")
        seen = int(self.query["resourceVersion"])
        deadline = time.monotonic() + float(self.query["timeoutSeconds"])
        self._begin_chunks()
        while (left := deadline - time.monotonic()) > 0:
            with self.kube.changed:
                job = self.kube.jobs.get(name)
                if job is None or int(job["metadata"]["resourceVersion"]) > seen:
                    kind = "MODIFIED" if job else "DELETED"
                    self._chunk(json.dumps({"type": kind, "object": job or {}}) + "\n")
                    break
                self.kube.changed.wait(min(left, 0.2))
        self._chunk("")

    def _expire(self) -> None:
        self._begin_chunks()
        gone = {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}
        self._chunk(json.dumps({"type": "ERROR", "object": gone}) + "\n")
        self._chunk("")

    def _core(self, method: str, namespace: str, resource: str, name: str | None, log: str | None) -> None:
        verb = "delete" if method == "DELETE" else "get" if name else "list"
        resource = "pods/log" if log else resource
        if not self._let_in("", resource, verb, namespace):
            return
        action = self.kube.fault(verb, resource)
        if isinstance(action, int):
            self._fail(action, "the server is overloaded")
        elif action == "reset":
            cut(self.connection)
        elif log:
            self._log(str(name), action[1] if action else None)
        elif resource == "events":
            wanted = self.query["fieldSelector"].removeprefix("involvedObject.name=")
            found = [event for event in self.kube.events if event["involvedObject"]["name"] == wanted]
            self._json(200, {"kind": "EventList", "items": found})
        elif name:
            with self.kube.changed:
                pod = self.kube.pods.get(name)
                self._json(200, pod) if pod else self._missing(name, "pods", "pods")
            if pod and verb == "delete":
                self.kube.delete_pod(pod)
        else:
            wanted = dict(entry.split("=") for entry in self.query["labelSelector"].split(","))
            with self.kube.changed:
                pods = [pod for pod in self.kube.pods.values() if wanted.items() <= pod["metadata"]["labels"].items()]
                self._json(200, {"kind": "PodList", "items": pods})

    def _log(self, name: str, cut_after: int | None) -> None:
        with self.kube.changed:
            log = self.kube.logs.get(f"{name}/{self.query.get('container')}") or self.kube.logs.get(name)
        if log is None or name not in self.kube.pods:
            self._missing(name, "pods", "pods")
            return
        stamps = self.query.get("timestamps") in ("true", "True")
        sent = max(0, len(log.lines) - int(self.query.get("tailLines", 10**9)))
        follow = self.query.get("follow") in ("true", "True")
        limit = sent + cut_after if cut_after is not None else None
        self._begin_chunks()
        while True:
            with self.kube.changed:
                fresh = log.lines[sent:limit]
                over = log.over or not follow
                if not fresh and not over and limit is None:
                    self.kube.changed.wait(0.2)
            for stamp, text in fresh:
                self._chunk(f"{stamp} {text}\n" if stamps else f"{text}\n")
            sent += len(fresh)
            if limit is not None and sent >= limit:
                cut(self.connection)
                return
            if over and not fresh:
                self._chunk("")
                return

    def _let_in(self, group: str, resource: str, verb: str, namespace: str) -> bool:
        if (resource, verb) in self.kube.denied | self.kube.hidden_denied:
            name = f"{resource}.{group}" if group else resource
            self._fail(
                403,
                f'{name} is forbidden: User "{USER}" cannot {verb} resource "{resource}" in API group "{group}" '
                f'in the namespace "{namespace}"',
            )
            return False
        if namespace not in (NAMESPACE, "team-b"):
            self._missing(namespace, "namespaces", "namespaces")
            return False
        self.kube.asked.append((group, resource, verb))
        return True

    def _missing(self, name: str | None, kind: str, shown: str) -> None:
        self._fail(404, f'{shown} "{name}" not found', details={"name": name, "kind": kind})

    def _fail(
        self, code: int, message: str, *, details: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        status = {"kind": "Status", "status": "Failure", "message": message, "details": details or {}, "code": code}
        self._json(code, status, headers)

    def _json(self, code: int, content: Any, headers: dict[str, str] | None = None) -> None:
        self._send(code, json.dumps(content), "application/json", headers or {})

    def _text(self, code: int, text: str) -> None:
        self._send(code, text, "text/plain", {})

    def _send(self, code: int, text: str, kind: str, headers: dict[str, str]) -> None:
        data = text.encode()
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _begin_chunks(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()
