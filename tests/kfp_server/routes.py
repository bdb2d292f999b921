"""Which request does what: the operations of KFP's API that a client of pipelines needs."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from kfp_server.refusal import ABSENT, Refusal
from kfp_server.state import State

API = "/apis/v2beta1"


def answer(
    state: State, user: str, method: str, path: str, query: Mapping[str, str], body: Any, upload: bytes
) -> dict[str, Any]:
    """Return what the API server answers, with status 200.

    Raises:
        Refusal: It answers something else.
    """
    for verb, pattern, act in _ROUTES:
        match = re.fullmatch(API + pattern, path)
        if verb == method and match:
            with state.lock:
                return dict(json.loads(json.dumps(act(state, user, match.groups(), query, body, upload))))
    raise Refusal(ABSENT, "Not Found")


def _act_on_run(state: State, user: str, run_id: str, action: str) -> dict[str, Any]:
    run = state.run(user, run_id)
    match action:
        case "terminate":
            run.terminate()
        case "retry":
            run.retry()
        case "archive":
            run.record["storage_state"] = "ARCHIVED"
        case "unarchive":
            run.record["storage_state"] = "AVAILABLE"
    return {}


def _delete_run(state: State, user: str, run_id: str) -> dict[str, Any]:
    state.run(user, run_id)
    del state.runs[run_id]
    return {}


def _set_status(state: State, user: str, recurring_id: str, action: str) -> dict[str, Any]:
    recurring = state.recurring_run(user, recurring_id)
    recurring["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[action]
    return {}


def _delete_recurring(state: State, user: str, recurring_id: str) -> dict[str, Any]:
    state.recurring_run(user, recurring_id)
    del state.recurring[recurring_id]
    return {}


def _delete_pipeline(state: State, user: str, pipeline_id: str) -> dict[str, Any]:
    state.pipeline(user, pipeline_id)
    del state.pipelines[pipeline_id]
    state.versions = {key: each for key, each in state.versions.items() if each["pipeline_id"] != pipeline_id}
    return {}


Act = Callable[[State, str, tuple[str, ...], Mapping[str, str], Any, bytes], dict[str, Any]]

_ROUTES: list[tuple[str, str, Act]] = [
    ("GET", "/healthz", lambda s, u, p, q, b, f: {"multi_user": s.multi_user, "pipeline_store": "database"}),
    ("GET", "/pipelines", lambda s, u, p, q, b, f: s.list_pipelines(u, q)),
    ("POST", "/pipelines", lambda s, u, p, q, b, f: s.create_pipeline(u, b)),
    ("POST", "/pipelines/upload", lambda s, u, p, q, b, f: s.upload_pipeline(u, q, f)),
    ("POST", "/pipelines/upload_version", lambda s, u, p, q, b, f: s.upload_version(u, q, f)),
    ("GET", "/pipelines/names/([^/]+)", lambda s, u, p, q, b, f: s.pipeline_by_name(u, p[0], q)),
    ("GET", "/pipelines/([^/:]+)", lambda s, u, p, q, b, f: s.pipeline(u, p[0])),
    ("DELETE", "/pipelines/([^/:]+)", lambda s, u, p, q, b, f: _delete_pipeline(s, u, p[0])),
    ("GET", "/pipelines/([^/:]+)/versions", lambda s, u, p, q, b, f: s.list_versions(u, p[0], q)),
    ("GET", "/pipelines/([^/:]+)/versions/([^/:]+)", lambda s, u, p, q, b, f: s.version(u, p[0], p[1])),
    ("GET", "/experiments", lambda s, u, p, q, b, f: s.list_experiments(u, q)),
    ("POST", "/experiments", lambda s, u, p, q, b, f: s.create_experiment(u, b)),
    ("GET", "/experiments/([^/:]+)", lambda s, u, p, q, b, f: s.experiment(u, p[0])),
    ("GET", "/runs", lambda s, u, p, q, b, f: s.list_runs(u, q)),
    ("POST", "/runs", lambda s, u, p, q, b, f: s.create_run(u, b)),
    ("GET", "/runs/([^/:]+)", lambda s, u, p, q, b, f: s.run(u, p[0]).look(s.plan)),
    ("DELETE", "/runs/([^/:]+)", lambda s, u, p, q, b, f: _delete_run(s, u, p[0])),
    ("POST", "/runs/([^/:]+):(terminate|retry|archive|unarchive)", lambda s, u, p, q, b, f: _act_on_run(s, u, *p)),
    ("GET", "/recurringruns", lambda s, u, p, q, b, f: s.list_recurring(u, q)),
    ("POST", "/recurringruns", lambda s, u, p, q, b, f: s.create_recurring(u, b)),
    ("GET", "/recurringruns/([^/:]+)", lambda s, u, p, q, b, f: s.recurring_run(u, p[0])),
    ("DELETE", "/recurringruns/([^/:]+)", lambda s, u, p, q, b, f: _delete_recurring(s, u, p[0])),
    ("POST", "/recurringruns/([^/:]+):(enable|disable)", lambda s, u, p, q, b, f: _set_status(s, u, *p)),
]
