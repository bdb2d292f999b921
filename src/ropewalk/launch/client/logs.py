"""What the code of a run's steps wrote: as it comes, or only its end, however long it is."""

import codecs
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import requests
from requests.exceptions import RequestException

from ropewalk.errors import ServiceError
from ropewalk.launch.client.refusals import reason
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.tasks import pod_names

_CHUNK = 64 * 1024
TAIL_BYTES = 256 * 1024
"""Of a log of any length, this much of the end is kept."""


def log_chunks(server: Server, run: Mapping[str, Any], node: str) -> Iterator[str] | None:
    """Return the log of a node of the run piece by piece, None when the server has none.

    It is asked of the API server, which reads the pod's log or the archive's, and then of the UI server, which is what
    a gateway mostly leads to (backend/src/apiserver/main.go, frontend/server/handlers/pod-logs.ts).

    Raises:
        ServiceError: The connection broke off.
    """
    response = _open(server, run, node)
    return _pieces(server, response) if response else None


def log_tail(server: Server, run: Mapping[str, Any], node: str) -> str | None:
    """Return the last 256 KiB of a node's log, whole lines, None when the server has none."""
    pieces = log_chunks(server, run, node)
    if pieces is None:
        return None
    kept: deque[str] = deque()
    size, cut = 0, False
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        while size - len(kept[0]) >= TAIL_BYTES:
            size -= len(kept.popleft())
            cut = True
    text = "".join(kept)
    if len(text) > TAIL_BYTES:
        text, cut = text[-TAIL_BYTES:], True
    return text.partition("\n")[2] if cut else text


def _open(server: Server, run: Mapping[str, Any], node: str) -> requests.Response | None:
    run_id = str(run["run_id"])
    for pod in pod_names(node):
        response = server.open_text(f"/apis/v1alpha1/runs/{run_id}/nodes/{pod}/log")
        if response:
            return response
    query = {"podname": pod_names(node)[0], "runid": run_id, "createdat": str(run.get("created_at", ""))[:10]}
    if server.namespace:
        query["podnamespace"] = server.namespace
    return server.open_text("/k8s/pod/logs", query)


def _pieces(server: Server, response: requests.Response) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    with closing(response):
        try:
            for piece in response.iter_content(_CHUNK):
                yield decoder.decode(piece)
        except RequestException as error:
            raise ServiceError(f"The log from {server.host} broke off: {reason(error)}. Ask again.") from error
