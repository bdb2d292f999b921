"""Starts a run: one, also when the answer to the request gets lost."""

import datetime
import secrets
from collections.abc import Mapping
from typing import Any

import yaml

from ropewalk import __version__
from ropewalk.launch.client.publish import Published, equals
from ropewalk.launch.client.server import Server
from ropewalk.launch.request import Request

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEFAULT = "Default"
"""The experiment that KFP makes by itself where one user has the server."""


def submit(
    server: Server,
    request: Request,
    arguments: Mapping[str, Any],
    *,
    name: str = "",
    experiment: str = "",
    service_account: str = "",
    published: Published | None = None,
) -> dict[str, Any]:
    """Start a run, and return it.

    Args:
        server: Where.
        request: The pipeline.
        arguments: Values of its parameters, as `parse_parameters` returns them.
        name: The run's name; "" is made of the pipeline's name and the time.
        experiment: Name of the experiment that it belongs to; "": the default one.
        service_account: The Kubernetes service account of its pods; "": the server's default.
        published: The version to run; None: send the YAML along.

    Raises:
        ClusterError, ServiceError, ConfigError: As `Server.get`.
    """
    mark = secrets.token_hex(8)
    name = name or f"{request.specification.name} {datetime.datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"
    body: dict[str, Any] = {
        "display_name": name,
        "description": f"Submitted by ropewalk {__version__} as {mark}",
        "runtime_config": {"parameters": dict(arguments)},
        **_source(request, published),
    }
    wanted = experiment or (_DEFAULT if server.namespace else "")
    if wanted:
        body["experiment_id"] = find_or_create_experiment(server, wanted)["experiment_id"]
    if service_account:
        body["service_account"] = service_account
    return server.post("/runs", body, found=lambda: _find(server, name, mark))


def find_or_create_experiment(server: Server, name: str) -> dict[str, Any]:
    """Return the experiment of that name in our namespace."""
    namespace = {"namespace": server.namespace} if server.namespace else {}

    def find() -> dict[str, Any] | None:
        query = {"filter": equals("display_name", name), **namespace}
        return next(server.pages("/experiments", "experiments", query), None)

    return find() or server.post("/experiments", {"display_name": name, **namespace}, found=find)


def _source(request: Request, published: Published | None) -> dict[str, Any]:
    if published:
        ids = {"pipeline_id": published.pipeline_id, "pipeline_version_id": published.version_id}
        return {"pipeline_version_reference": ids}
    documents = [document for document in yaml.load_all(request.text, Loader=_LOADER) if document]
    spec = documents[0] if len(documents) == 1 else {"pipeline_spec": documents[0], "platform_spec": documents[1]}
    return {"pipeline_spec": spec}


def _find(server: Server, name: str, mark: str) -> dict[str, Any] | None:
    """Return the run that carries our mark: names need not be unique."""
    query = {"filter": equals("display_name", name), "sort_by": "created_at desc"}
    if server.namespace:
        query["namespace"] = server.namespace
    runs = server.pages("/runs", "runs", query)
    return next((run for run in runs if mark in str(run.get("description", ""))), None)
