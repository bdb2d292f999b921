"""Brings a compiled pipeline to the server as a version of it: once, whoever else does so at the same time."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from ropewalk.errors import ConfigError
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.version_name import VersionName
from ropewalk.launch.request import Request

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A version that is on the server."""

    pipeline: str
    """The pipeline's name."""
    pipeline_id: str
    version: str
    """The version's name."""
    version_id: str
    created: bool
    """Whether it was brought there now; False: the same bytes were there already."""
    url: str
    """Its page."""


def publish(server: Server, request: Request, version: VersionName) -> Published:
    """Make sure that the pipeline of `request` is on the server as a version.

    Nothing is uploaded when the newest version, or the one of that name, has the same content. Killed between its
    steps, it goes on when it is called again; called by several at once, it makes one version.

    Raises:
        ConfigError: There is a version of that name with other content.
        ClusterError, ServiceError: As `Server.get`.
    """
    name = request.specification.name
    pipeline = find_pipeline(server, name) or _create_pipeline(server, request)
    pipeline_id = str(pipeline["pipeline_id"])
    wanted = _content(request.text)
    newest = newest_version(server, pipeline_id)
    if newest and _spec(newest) == wanted:
        return _published(server, pipeline, newest, created=False)
    there = find_version(server, pipeline_id, version.name)
    created = False
    if there is None:
        there, created = _upload(server, request, pipeline_id, version)
    if _spec(there) != wanted:
        raise ConfigError(
            f"The server has a version {version.name!r} of the pipeline {name!r} with other content: "
            f"{version_url(server, pipeline_id, str(there['pipeline_version_id']))}. A version never changes: was the "
            "YAML compiled before the commit, or with another profile? Compile again, or give another --version NAME."
        )
    return _published(server, pipeline, there, created=created)


def find_pipeline(server: Server, name: str) -> dict[str, Any] | None:
    """Return the server's pipeline of that name in our namespace, None when there is none."""
    return server.get(f"/pipelines/names/{quote(name, safe='')}", _namespace(server), absent=True)


def find_version(server: Server, pipeline_id: str, name: str) -> dict[str, Any] | None:
    """Return a pipeline's version of that name, None when there is none."""
    return next(_versions(server, pipeline_id, {"filter": equals("name", name)}), None)


def newest_version(server: Server, pipeline_id: str) -> dict[str, Any] | None:
    """Return a pipeline's newest version, None when it has none."""
    return next(_versions(server, pipeline_id, {"page_size": "1", "sort_by": "created_at desc"}), None)


def equals(key: str, value: str) -> str:
    """Return the filter of a list to the items whose `key` is `value`."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "string_value": value}]})


def version_url(server: Server, pipeline_id: str, version_id: str) -> str:
    """Return the page of a version."""
    return f"{server.ui_url}/#/pipelines/details/{pipeline_id}/version/{version_id}"


def _create_pipeline(server: Server, request: Request) -> dict[str, Any]:
    specification = request.specification
    body = {"name": specification.name, "display_name": specification.name, **_namespace(server)}
    if specification.description:
        body["description"] = specification.description
    return server.post("/pipelines", body, found=lambda: find_pipeline(server, specification.name))


def _upload(server: Server, request: Request, pipeline_id: str, version: VersionName) -> tuple[dict[str, Any], bool]:
    """Return the version, and whether the server answered that it was made now."""
    query = {"pipelineid": pipeline_id, "name": version.name, "display_name": version.name}
    if version.commit:
        query["description"] = f"Commit {version.commit}"
    if version.source:
        query["code_source_url"] = version.source
    met: list[dict[str, Any]] = []

    def find() -> dict[str, Any] | None:
        there = find_version(server, pipeline_id, version.name)
        met.extend([there] if there else [])
        return there

    made = server.post("/pipelines/upload_version", query=query, upload=request.text.encode(), found=find)
    return made, not met


def _versions(server: Server, pipeline_id: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    return server.pages(f"/pipelines/{pipeline_id}/versions", "pipeline_versions", query)


def _namespace(server: Server) -> dict[str, str]:
    return {"namespace": server.namespace} if server.namespace else {}


def _content(text: str) -> tuple[Any, Any]:
    documents = [document for document in yaml.load_all(text, Loader=_LOADER) if document]
    return documents[0], (documents[1] if len(documents) > 1 else None)


def _spec(version: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return a version's specification and what it says of the platform: the server wraps them when there are both."""
    spec = version.get("pipeline_spec") or {}
    return (spec["pipeline_spec"], spec.get("platform_spec")) if "pipeline_spec" in spec else (spec, None)


def _published(server: Server, pipeline: Mapping[str, Any], version: Mapping[str, Any], *, created: bool) -> Published:
    pipeline_id, version_id = str(pipeline["pipeline_id"]), str(version["pipeline_version_id"])
    return Published(
        pipeline=str(pipeline.get("name") or pipeline.get("display_name")),
        pipeline_id=pipeline_id,
        version=str(version.get("name") or version.get("display_name")),
        version_id=version_id,
        created=created,
        url=version_url(server, pipeline_id, version_id),
    )
