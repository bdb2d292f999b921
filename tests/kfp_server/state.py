"""What the API server keeps: pipelines, versions, experiments, runs and recurring runs, with its rules."""

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

import yaml

from kfp_server.listing import BadList, page
from kfp_server.refusal import ABSENT, EXISTS, FORBIDDEN, INVALID, Refusal
from kfp_server.runs import Plan, Run, utc

Query = Mapping[str, str]


class State:
    """Everything that a server remembers; it outlives a restart."""

    def __init__(self, *, multi_user: bool) -> None:
        self.multi_user = multi_user
        self.members: dict[str, set[str]] = {}
        """Namespaces that each user may work in, where several users share the server."""
        self.skew = 0.0
        """Seconds by which the server's clock is ahead of ours."""
        self.plan = Plan()
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, Run] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        """The bytes that each version was uploaded as."""
        self.lock = threading.RLock()

    def clock(self) -> str:
        """Return the server's time."""
        return utc(time.time() + self.skew)

    def namespace(self, user: str, asked: str, *, needed: bool = True) -> str:
        """Return the namespace that is worked in; refuse one that is not the user's."""
        if not self.multi_user:
            if asked and needed:
                raise Refusal(INVALID, "In single-user mode, the namespace must be empty.")
            return ""
        if not asked and needed:
            raise Refusal(INVALID, "Invalid input error: A resource must have a namespace in multi-user mode.")
        if asked and asked not in self.members.get(user, set()):
            raise Refusal(
                FORBIDDEN,
                f"Failed to authorize with API: User '{user}' is not authorized with reason:  (request: "
                f"&ResourceAttributes{{Namespace:{asked},Verb:get,Group:pipelines.kubeflow.org}})",
            )
        return asked

    def list_pipelines(self, user: str, query: Query) -> dict[str, Any]:
        namespace = self.namespace(user, query.get("namespace", ""), needed=False)
        found = [each for each in self.pipelines.values() if each.get("namespace", "") == namespace]
        return _page(found, query, "pipeline_id", "pipelines")

    def create_pipeline(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        namespace = self.namespace(user, body.get("namespace", ""), needed=False)
        name = body.get("name") or body.get("display_name")
        if not name:
            raise Refusal(INVALID, "pipeline's name cannot be empty")
        if any(each["name"] == name and each.get("namespace", "") == namespace for each in self.pipelines.values()):
            raise Refusal(EXISTS, f"Failed to create a new pipeline. The name {name} already exists.")
        pipeline = _new(body, "pipeline_id", self.clock()) | {
            "name": name,
            "display_name": body.get("display_name") or name,
        }
        if namespace:
            pipeline["namespace"] = namespace
        self.pipelines[pipeline["pipeline_id"]] = pipeline
        return pipeline

    def pipeline(self, user: str, pipeline_id: str) -> dict[str, Any]:
        pipeline = _found(self.pipelines, pipeline_id, "Pipeline")
        self.namespace(user, pipeline.get("namespace", ""), needed=False)
        return pipeline

    def pipeline_by_name(self, user: str, name: str, query: Query) -> dict[str, Any]:
        namespace = self.namespace(user, query.get("namespace", ""), needed=False)
        for pipeline in self.pipelines.values():
            if pipeline["name"] == name and pipeline.get("namespace", "") == namespace:
                return pipeline
        raise Refusal(ABSENT, f"Pipeline {name} not found")

    def upload_pipeline(self, user: str, query: Query, content: bytes) -> dict[str, Any]:
        spec = _read(content)
        body = {name: query[name] for name in ("name", "display_name", "description", "namespace") if query.get(name)}
        pipeline = self.create_pipeline(user, body)
        self._add_version(pipeline["pipeline_id"], pipeline["name"], query, spec, content)
        return pipeline

    def upload_version(self, user: str, query: Query, content: bytes) -> dict[str, Any]:
        spec = _read(content)
        pipeline = self.pipeline(user, query.get("pipelineid", ""))
        name = query.get("name") or query.get("display_name") or "uploaded.yaml"
        return self._add_version(pipeline["pipeline_id"], name, query, spec, content)

    def list_versions(self, user: str, pipeline_id: str, query: Query) -> dict[str, Any]:
        self.pipeline(user, pipeline_id)
        found = [each for each in self.versions.values() if each["pipeline_id"] == pipeline_id]
        return _page(found, query, "pipeline_version_id", "pipeline_versions")

    def version(self, user: str, pipeline_id: str, version_id: str) -> dict[str, Any]:
        self.pipeline(user, pipeline_id)
        return _found(self.versions, version_id, "PipelineVersion")

    def _add_version(
        self, pipeline_id: str, name: str, query: Query, spec: dict[str, Any], content: bytes
    ) -> dict[str, Any]:
        if any(each["pipeline_id"] == pipeline_id and each["name"] == name for each in self.versions.values()):
            raise Refusal(EXISTS, f"Failed to create a new pipeline version. The name {name} already exists.")
        given = {key: query[key] for key in ("description", "code_source_url") if query.get(key)}
        version = _new(given, "pipeline_version_id", self.clock()) | {
            "pipeline_id": pipeline_id,
            "name": name,
            "display_name": query.get("display_name") or name,
            "pipeline_spec": spec,
        }
        self.versions[version["pipeline_version_id"]] = version
        self.uploads[version["pipeline_version_id"]] = content
        return version

    def list_experiments(self, user: str, query: Query) -> dict[str, Any]:
        namespace = self.namespace(user, query.get("namespace", ""))
        found = [each for each in self.experiments.values() if each.get("namespace", "") == namespace]
        return _page(found, query, "experiment_id", "experiments")

    def create_experiment(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        namespace = self.namespace(user, body.get("namespace", ""))
        name = body.get("display_name")
        if not name:
            raise Refusal(INVALID, "Experiment name is empty. Please specify a valid experiment name.")
        known = [each for each in self.experiments.values() if each.get("namespace", "") == namespace]
        if any(each["display_name"] == name for each in known):
            raise Refusal(EXISTS, f"Failed to create a new experiment. The name {name} already exists.")
        experiment = _new(body, "experiment_id", self.clock()) | {"storage_state": "AVAILABLE"}
        if namespace:
            experiment["namespace"] = namespace
        self.experiments[experiment["experiment_id"]] = experiment
        return experiment

    def experiment(self, user: str, experiment_id: str) -> dict[str, Any]:
        experiment = _found(self.experiments, experiment_id, "Experiment")
        self.namespace(user, experiment.get("namespace", ""))
        return experiment

    def list_runs(self, user: str, query: Query) -> dict[str, Any]:
        namespace = self._of_list(user, query)
        runs = [run.record for run in self.runs.values()]
        return _page(self._within(runs, namespace, query), query, "run_id", "runs")

    def create_run(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        asked = self._settled(user, body)
        run_id = str(uuid.uuid4())
        spec = asked.get("pipeline_spec") or self._spec_of(asked)
        self.runs[run_id] = Run(asked, run_id=run_id, spec=spec.get("pipeline_spec", spec), clock=self.clock)
        return self.runs[run_id].record

    def run(self, user: str, run_id: str) -> Run:
        run = _found(self.runs, run_id, "Run")
        self.experiment(user, run.record["experiment_id"])
        return run

    def list_recurring(self, user: str, query: Query) -> dict[str, Any]:
        namespace = self._of_list(user, query)
        found = self._within(list(self.recurring.values()), namespace, query)
        return _page(found, query, "recurring_run_id", "recurringRuns")

    def create_recurring(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        concurrency = int(body.get("max_concurrency", 0))
        if not 1 <= concurrency <= 10:
            raise Refusal(INVALID, "The max concurrency of the recurring run is out of range. Support 1-10.")
        cron = body.get("trigger", {}).get("cron_schedule", {}).get("cron", "")
        if cron and len(cron.split()) not in (5, 6) and not cron.startswith("@"):
            raise Refusal(INVALID, f"Schedule cron is not a supported format: {cron}")
        asked = self._settled(user, body)
        asked["max_concurrency"] = str(concurrency)
        periodic = asked.get("trigger", {}).get("periodic_schedule", {})
        if periodic:
            periodic["interval_second"] = str(periodic["interval_second"])
        mode = asked.pop("mode", "ENABLE")
        recurring = _new(asked, "recurring_run_id", self.clock()) | {
            "status": "ENABLED" if mode == "ENABLE" else "DISABLED",
            "updated_at": self.clock(),
        }
        self.recurring[recurring["recurring_run_id"]] = recurring
        return recurring

    def recurring_run(self, user: str, recurring_id: str) -> dict[str, Any]:
        recurring = _found(self.recurring, recurring_id, "Recurring run")
        self.experiment(user, recurring["experiment_id"])
        return recurring

    def _of_list(self, user: str, query: Query) -> str:
        if query.get("experiment_id"):
            return str(self.experiment(user, query["experiment_id"]).get("namespace", ""))
        return self.namespace(user, query.get("namespace", ""))

    def _within(self, found: list[dict[str, Any]], namespace: str, query: Query) -> list[dict[str, Any]]:
        experiment = query.get("experiment_id")
        spaces = {name: each.get("namespace", "") for name, each in self.experiments.items()}
        return [
            each
            for each in found
            if spaces[each["experiment_id"]] == namespace and experiment in (None, "", each["experiment_id"])
        ]

    def _settled(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what was asked for with the experiment and the version that it is pinned to."""
        asked = dict(body)
        if not asked.get("display_name"):
            raise Refusal(INVALID, "The name is empty. Please specify a valid name.")
        if not asked.get("experiment_id"):
            if self.multi_user:
                raise Refusal(INVALID, "Invalid input error: Run has no experiment in multi-user mode.")
            asked["experiment_id"] = self._default_experiment()
        self.experiment(user, asked["experiment_id"])
        reference = asked.get("pipeline_version_reference")
        if not reference and not asked.get("pipeline_spec"):
            raise Refusal(INVALID, "Please specify a pipeline source.")
        if reference:
            asked["pipeline_version_reference"] = self._pinned(user, reference)
        return asked

    def _default_experiment(self) -> str:
        for experiment in self.experiments.values():
            if experiment["display_name"] == "Default":
                return str(experiment["experiment_id"])
        return str(self.create_experiment("", {"display_name": "Default"})["experiment_id"])

    def _pinned(self, user: str, reference: dict[str, Any]) -> dict[str, Any]:
        self.pipeline(user, reference["pipeline_id"])
        versions = [one for one in self.versions.values() if one["pipeline_id"] == reference["pipeline_id"]]
        version_id = reference.get("pipeline_version_id") or (versions or [{}])[-1].get("pipeline_version_id", "")
        _found(self.versions, version_id, "PipelineVersion")
        return {"pipeline_id": reference["pipeline_id"], "pipeline_version_id": version_id}

    def _spec_of(self, asked: dict[str, Any]) -> dict[str, Any]:
        return dict(self.versions[asked["pipeline_version_reference"]["pipeline_version_id"]]["pipeline_spec"])


def _read(content: bytes) -> dict[str, Any]:
    try:
        documents = [document for document in yaml.load_all(content, Loader=yaml.CSafeLoader) if document]
    except yaml.YAMLError as error:
        raise Refusal(INVALID, f"Failed to parse the pipeline spec: {error}") from error
    if not documents or "pipelineInfo" not in documents[0]:
        raise Refusal(INVALID, "unknown template format")
    if len(documents) == 1:
        return dict(documents[0])
    return {"pipeline_spec": documents[0], "platform_spec": documents[1]}


def _new(given: dict[str, Any], key: str, now: str) -> dict[str, Any]:
    return {**given, key: str(uuid.uuid4()), "created_at": now}


def _found(things: Mapping[str, Any], key: str, kind: str) -> Any:
    if key not in things:
        raise Refusal(ABSENT, f"{kind} {key} not found")
    return things[key]


def _page(found: list[dict[str, Any]], query: Query, key: str, kind: str) -> dict[str, Any]:
    try:
        return page(found, query, key=key, kind=kind)
    except BadList as error:
        raise Refusal(INVALID, str(error)) from error
