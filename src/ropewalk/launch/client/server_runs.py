"""Runs on a server: listed, found by id or name, cancelled, and tried again."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from ropewalk.errors import ConfigError, RunError, nearest
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.tasks import CANCELED, ENDED, FAILED, seconds_since_epoch, task_names

_LOOKED_THROUGH = 500
_FEWEST_CHARACTERS = 4


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run, in a line."""

    id: str
    name: str
    state: str
    """PENDING, RUNNING, SUCCEEDED, SKIPPED, FAILED, CANCELING, CANCELED or PAUSED."""
    created: str
    """ISO 8601, UTC."""
    seconds: float | None
    """From its creation to its end, or to now by the server's clock."""
    url: str


def list_runs(server: Server, *, limit: int) -> list[RunLine]:
    """Return the newest `limit` runs of our namespace."""
    return [_line(server, run) for run in islice(_newest(server, page=min(limit, 100)), limit)]


def find_run(server: Server, wanted: str) -> dict[str, Any]:
    """Return the run with that id, with an id that begins so, or of that name: the newest.

    Raises:
        ConfigError: There is none, or the beginning fits several.
    """
    if _is_id(wanted):
        run = server.get(f"/runs/{wanted}", absent=True)
        if run is None:
            raise ConfigError(f"{server.host} has no run {wanted}. `ropewalk runs --host ...` lists what it has.")
        return run
    if len(wanted) < _FEWEST_CHARACTERS:
        raise ConfigError(
            f"{wanted!r} is too short to find a run by: give at least 4 characters of its id, or its name."
        )
    recent = list(islice(_newest(server, page=100), _LOOKED_THROUGH))
    found = [run for run in recent if str(run["run_id"]).startswith(wanted)]
    found = found or [run for run in recent if run.get("display_name") == wanted][:1]
    if len(found) != 1:
        names = [str(run.get("display_name")) for run in recent]
        told = f"several runs: {', '.join(str(run['run_id']) for run in found[:5])}" if found else "no run"
        raise ConfigError(f"{server.host} has {told} that {wanted!r} means.{nearest(wanted, names)} Give a run's id.")
    return server.get(f"/runs/{found[0]['run_id']}") or {}


def spec_of(server: Server, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the compiled pipeline of a run, {} when the server does not tell it any more."""
    spec = run.get("pipeline_spec")
    reference = run.get("pipeline_version_reference") or {}
    if not spec and reference.get("pipeline_version_id"):
        path = f"/pipelines/{reference['pipeline_id']}/versions/{reference['pipeline_version_id']}"
        spec = (server.get(path, absent=True) or {}).get("pipeline_spec")
    return dict((spec or {}).get("pipeline_spec") or spec or {})


def tasks_of(server: Server, run: Mapping[str, Any]) -> list[str]:
    """Return the names of a run's tasks, [] when the server does not tell its pipeline any more."""
    spec = spec_of(server, run)
    return task_names(spec) if spec else []


def cancel(server: Server, run: Mapping[str, Any]) -> str:
    """Have a run stopped, and return its state; one that has ended stays as it is."""
    if run.get("state") not in ENDED:
        server.post(f"/runs/{run['run_id']}:terminate")
    return str((server.get(f"/runs/{run['run_id']}") or {}).get("state", ""))


def retry(server: Server, run: Mapping[str, Any]) -> None:
    """Have what failed or was cancelled in a run done again; what had succeeded is kept.

    Raises:
        RunError: It has neither failed nor been cancelled.
    """
    if run.get("state") not in (FAILED, CANCELED):
        raise RunError(
            f"The run {run['run_id']} is {run.get('state')}: only one that FAILED or was CANCELED is retried."
        )

    def under_way() -> dict[str, Any] | None:
        now = server.get(f"/runs/{run['run_id']}") or {}
        return None if now.get("state") in (FAILED, CANCELED) else now

    server.post(f"/runs/{run['run_id']}:retry", found=under_way)


def run_url(server: Server, run_id: str) -> str:
    """Return the page of a run."""
    return f"{server.ui_url}/#/runs/details/{run_id}"


def seconds_of(run: Mapping[str, Any], now: float) -> float | None:
    """Return how long a run took, or has taken until `now`; both by the server's clock."""
    begun = seconds_since_epoch(run.get("created_at", ""))
    ended = seconds_since_epoch(run.get("finished_at", ""))
    if begun is None:
        return None
    return max(0.0, (ended if ended is not None and run.get("state") in ENDED else now) - begun)


def _newest(server: Server, *, page: int) -> Any:
    query = {"sort_by": "created_at desc", "page_size": str(page)}
    if server.namespace:
        query["namespace"] = server.namespace
    return server.pages("/runs", "runs", query)


def _line(server: Server, run: Mapping[str, Any]) -> RunLine:
    return RunLine(
        id=str(run["run_id"]),
        name=str(run.get("display_name", "")),
        state=str(run.get("state", "")),
        created=str(run.get("created_at", "")),
        seconds=seconds_of(run, server.now()),
        url=run_url(server, str(run["run_id"])),
    )


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return len(text) == len(str(UUID(int=0)))
