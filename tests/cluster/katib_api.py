"""The Kubernetes API server of `kube_api` with Katib installed: Experiments, Trials, Suggestions, and its webhook."""

import copy
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from katib_schema import experiment_problems
from kube_api import NAMESPACE, KubeApi, Log, cut, now

GROUP = "kubeflow.org"
LABEL = "katib.kubeflow.org/experiment"
_PATH = re.compile(rf"/apis/{GROUP}/v1beta1/namespaces/([^/]+)/(experiments|trials|suggestions)(?:/([^/]+))?")
_KINDS = {"experiments": "Experiment", "trials": "Trial", "suggestions": "Suggestion"}
_MAY_CHANGE = ("parallelTrialCount", "maxTrialCount", "maxFailedTrialCount")
_WEBHOOK = 'admission webhook "validator.experiment.katib.kubeflow.org" denied the request'

Key = tuple[str, str, str]
"""Plural, namespace, name."""


class KatibApi(KubeApi):
    """The server and what it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[Key, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []
        """Every Experiment that was sent."""
        self.patches: list[Any] = []
        self.collects_metrics = True
        """Whether the namespace has the label that Katib wants."""
        self.katib_installed = True
        self.on_experiment: Callable[[dict[str, Any]], None] = lambda experiment: None
        self.on_gone: Callable[[str, dict[str, Any]], None] = lambda plural, resource: None

    def all_of(self, plural: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        with self.changed:
            return [each for key, each in self.kept.items() if key[:2] == (plural, namespace)]

    def the_experiment(self) -> dict[str, Any]:
        (experiment,) = self.all_of("experiments")
        return experiment

    def keep(self, plural: str, resource: dict[str, Any], namespace: str = NAMESPACE) -> dict[str, Any]:
        kept = copy.deepcopy(resource)
        kept |= {"apiVersion": f"{GROUP}/v1beta1", "kind": _KINDS[plural]}
        kept["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "namespace": namespace}
        with self.changed:
            self.kept[plural, namespace, kept["metadata"]["name"]] = kept
            self.touch(kept)
        return kept

    def change(self, resource: dict[str, Any], **status: Any) -> None:
        with self.changed:
            resource.setdefault("status", {}).update(status)
            self.touch(resource)

    def condition(self, resource: dict[str, Any], kind: str, reason: str, message: str = "") -> None:
        """Have a condition hold; one that runs does so no more when another holds."""
        with self.changed:
            conditions = resource.setdefault("status", {}).setdefault("conditions", [])
            for each in conditions:
                if each["type"] == "Running":
                    each["status"] = "False"
            conditions.append({"type": kind, "status": "True", "reason": reason, "message": message})
            self.touch(resource)

    def remove(self, plural: str, name: str, namespace: str = NAMESPACE) -> None:
        """Delete with dependents first, in the background."""
        with self.changed:
            resource = self.kept[plural, namespace, name]
            if "deletionTimestamp" in resource["metadata"]:
                return
            resource["metadata"]["deletionTimestamp"] = now()
            self.touch(resource)

        def finish() -> None:
            time.sleep(self.deletion_seconds)
            self._collect(plural, resource, namespace)

        threading.Thread(target=finish, daemon=True).start()

    def _collect(self, plural: str, resource: dict[str, Any], namespace: str) -> None:
        uid, name = resource["metadata"]["uid"], resource["metadata"]["name"]
        with self.changed:
            owned = [
                (key[0], each)
                for key, each in self.kept.items()
                if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))
            ]
        for inner, each in owned:
            self._collect(inner, each, namespace)
        with self.changed:
            if self.kept.get((plural, namespace, name)) is resource:
                del self.kept[plural, namespace, name]
            for pod in [pod for pod in self.pods.values() if pod["metadata"]["labels"].get("job-uid") == uid]:
                self.pods.pop(pod["metadata"]["name"])
            self.touch(resource)
        self.on_gone(plural, resource)

    def add_trial_pod(self, trial: dict[str, Any], template: dict[str, Any], *, collected: bool) -> dict[str, Any]:
        """Start a trial's pod; Katib's webhook adds labels and the collector, where it is called."""
        made, name = copy.deepcopy(template), trial["metadata"]["name"]
        labels = {**made["metadata"].get("labels", {}), "job-name": name}
        if collected:
            labels |= {**trial["metadata"]["labels"], "katib.kubeflow.org/trial": name}
            made["spec"]["containers"].append({"name": "metrics-logger-and-collector"})
        made["metadata"]["labels"] = labels
        return self.add_pod_of(trial, f"{name}-{uuid.uuid4().hex[:5]}", made)

    def add_pod_of(self, owner: dict[str, Any], name: str, template: dict[str, Any]) -> dict[str, Any]:
        """Start a pod that goes with its owner."""
        containers = [each["name"] for each in template["spec"]["containers"]]
        labels = {**template["metadata"]["labels"], "job-uid": owner["metadata"]["uid"]}
        running = {"running": {"startedAt": now()}}
        pod = {
            "metadata": {"name": name, "uid": str(uuid.uuid4()), "labels": labels, "creationTimestamp": now()},
            "spec": {"containers": [{"name": each} for each in containers]},
            "status": {
                "phase": "Running",
                "containerStatuses": [{"name": each, "state": dict(running)} for each in containers],
            },
        }
        with self.changed:
            self.pods[name] = pod
            for each in containers:
                self.logs[f"{name}/{each}"] = Log()
            self.touch(pod)
        return pod

    def say_in(self, pod: dict[str, Any], container: str, line: str) -> None:
        with self.changed:
            self.logs[f"{pod['metadata']['name']}/{container}"].lines.append((now(), line))
            self.changed.notify_all()

    def end_trial_pod(self, pod: dict[str, Any], code: int) -> None:
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": now()}
        with self.changed:
            pod["status"]["phase"] = "Failed" if code else "Succeeded"
            for each in pod["status"]["containerStatuses"]:
                each["state"] = {"terminated": ended}
                self.logs[f"{pod['metadata']['name']}/{each['name']}"].over = True
            self.touch(pod)

    def serve_more(self, handler: Any, method: str, path: str) -> bool:
        found = _PATH.fullmatch(path)
        if not found or not self.katib_installed:
            return False
        namespace, plural, name = found[1], found[2], found[3]
        watch = handler.query.get("watch") in ("true", "True")
        verb = {"POST": "create", "DELETE": "delete", "PATCH": "patch"}.get(method)
        verb = verb or ("get" if name else "watch" if watch else "list")
        if not handler._let_in(GROUP, plural, verb, namespace):
            return True
        action = self.fault(verb, plural)
        if isinstance(action, int):
            headers = {"Retry-After": "1"} if action == 429 else {}
            handler._fail(action, "the server is overloaded", headers=headers)
        elif action == "reset":
            cut(handler.connection)
        elif action == "expired":
            handler._expire()
        else:
            getattr(self, f"_serve_{verb}")(handler, (plural, namespace, name), lost=action == "lost")
        return True

    def _serve_create(self, handler: Any, key: Key, *, lost: bool) -> None:
        plural, namespace, _ = key
        assert plural == "experiments"
        assert handler.query["fieldValidation"] == "Strict"
        body = handler.body
        self.sent.append(body)
        name = body["metadata"]["name"]
        if wrong := [*experiment_problems(body), *_label_problems(body)]:
            handler._fail(422, f"Experiment.{GROUP} {name!r} is invalid: {', '.join(wrong)}")
        elif wrong := self._refusal(body, namespace):
            handler._fail(400, f"{_WEBHOOK}: {wrong}")
        else:
            with self.changed:
                taken = (plural, namespace, name) in self.kept
                kept = None if taken else self.keep(plural, _with_defaults(body), namespace)
            if kept is None:
                details = {"name": name, "kind": plural}
                handler._fail(409, f'{plural}.{GROUP} "{name}" already exists', details=details)
                return
            self.on_experiment(kept)
            cut(handler.connection) if lost else handler._json(201, kept)

    def _refusal(self, body: dict[str, Any], namespace: str) -> str:
        """Return what Katib's validator says (pkg/webhook/v1beta1/experiment), "" when it has nothing to say."""
        name, spec = body["metadata"]["name"], body["spec"]
        if not self.collects_metrics:
            label = '"katib.kubeflow.org/metrics-collector-injection: enabled"'
            return (
                f'Cannot create the Experiment "{name}" in namespace "{namespace}": the namespace lacks label {label}'
            )
        if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > 40:
            return "name is invalid"
        if spec["parallelTrialCount"] > spec["maxTrialCount"]:
            return "parallelTrialCount should be less than or equal to maxTrialCount"
        metadata = spec["trialTemplate"]["trialSpec"].get("metadata") or {}
        if metadata.get("name") or metadata.get("namespace"):
            return "metadata.name and metadata.namespace must be omitted in spec.trialTemplate.trialSpec"
        return ""

    def _serve_get(self, handler: Any, key: Key, *, lost: bool) -> None:
        with self.changed:
            resource = self.kept.get(key)
            handler._json(200, resource) if resource else self._missing(handler, key)

    def _serve_list(self, handler: Any, key: Key, *, lost: bool) -> None:
        wanted = dict(entry.split("=") for entry in handler.query["labelSelector"].split(","))
        with self.changed:
            found = [
                each
                for each in self.all_of(key[0], key[1])
                if wanted.items() <= each["metadata"].get("labels", {}).items()
            ]
            handler._json(200, {"items": found})

    def _serve_watch(self, handler: Any, key: Key, *, lost: bool) -> None:
        name = handler.query["fieldSelector"].removeprefix("metadata.name=")
        seen = int(handler.query["resourceVersion"])
        deadline = time.monotonic() + float(handler.query["timeoutSeconds"])
        handler._begin_chunks()
        while (left := deadline - time.monotonic()) > 0:
            with self.changed:
                resource = self.kept.get((key[0], key[1], name))
                if resource is None or int(resource["metadata"]["resourceVersion"]) > seen:
                    kind = "MODIFIED" if resource else "DELETED"
                    handler._chunk(json.dumps({"type": kind, "object": resource or {}}) + "\n")
                    break
                self.changed.wait(min(left, 0.2))
        handler._chunk("")

    def _serve_patch(self, handler: Any, key: Key, *, lost: bool) -> None:
        if handler.headers["Content-Type"] != "application/merge-patch+json":
            handler._fail(415, "the body of the request was in an unknown format")
            return
        with self.changed:
            resource = self.kept.get(key)
            if resource is None:
                self._missing(handler, key)
                return
            self.patches.append(handler.body)
            changed = _merged(resource, handler.body)
            named = {name: value for name, value in changed.items() if name != "status"}
            if wrong := ", ".join(experiment_problems(named)) or _update_refusal(resource, changed):
                handler._fail(400, f"{_WEBHOOK}: {wrong}")
                return
            resource.update(changed)
            self.touch(resource)
            handler._json(200, resource)

    def _serve_delete(self, handler: Any, key: Key, *, lost: bool) -> None:
        assert handler.body["propagationPolicy"] == "Foreground"
        with self.changed:
            resource = self.kept.get(key)
            if resource is None:
                self._missing(handler, key)
                return
            self.remove(key[0], key[2], key[1])
            handler._json(200, resource)

    def _missing(self, handler: Any, key: Key) -> None:
        handler._fail(404, f'{key[0]}.{GROUP} "{key[2]}" not found', details={"name": key[2], "kind": key[0]})


def _label_problems(body: dict[str, Any]) -> list[str]:
    labels = body["metadata"].get("labels", {})
    legal = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
    return [f"metadata.labels: Invalid value: {each!r}" for each in labels.values() if not legal.fullmatch(each)]


def _with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept: Katib's mutating webhook writes out what was left open, so that specs cannot be compared."""
    made = copy.deepcopy(body)
    template = made["spec"]["trialTemplate"]
    template.setdefault("successCondition", 'status.conditions.#(type=="Complete")#|#(status=="True")#')
    template.setdefault("failureCondition", 'status.conditions.#(type=="Failed")#|#(status=="True")#')
    made["spec"].setdefault("resumePolicy", "Never")
    return made


def _merged(value: Any, change: Any) -> Any:
    """Return a value after a merge patch (RFC 7386)."""
    if not isinstance(change, dict):
        return change
    made = dict(value) if isinstance(value, dict) else {}
    for name, each in change.items():
        made[name] = _merged(made.get(name), each)
    return {name: each for name, each in made.items() if each is not None}


def _update_refusal(before: dict[str, Any], after: dict[str, Any]) -> str:
    rest = [
        {name: value for name, value in each["spec"].items() if name not in _MAY_CHANGE} for each in (before, after)
    ]
    if rest[0] != rest[1]:
        return "only spec.parallelTrialCount, spec.maxTrialCount and spec.maxFailedTrialCount are editable"
    spec = after["spec"]
    if spec["parallelTrialCount"] > spec["maxTrialCount"] or spec.get("maxFailedTrialCount", 0) > spec["maxTrialCount"]:
        return "counts are inconsistent"
    return ""
