"""MLflow runs: which server, which run, and what happens to it when the work ends or fails.

MLflow itself is imported only when it is used, because that takes more than a second.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ropewalk.errors import ConfigError, RopewalkError, ServiceError, StorageError, TrackingError
from ropewalk.home import embedded_tracking_uri
from ropewalk.turns import Board, turn

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.exceptions import MlflowException

EXPERIMENT = "ropewalk"
RUN_ID_TAG = "ropewalk.run_id"
"""Tag of MLflow runs, logged models and model versions: the pipeline run that made them."""

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
_FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "6"}
_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc")
_LOCK_SECONDS = 300.0
_MAX_PARAMS, _MAX_TAGS, _MAX_METRICS = 100, 100, 900
_MAX_TEXT = 5000


def tracking_uri(explicit: str = "") -> str:
    """Return the MLflow tracking URI: `explicit`, else $MLFLOW_TRACKING_URI, else the embedded sqlite store.

    Raises:
        ConfigError: The URI holds a password, or is of a kind that MLflow no longer writes to.
        TrackingError: No URI is set and this is a pod, whose sqlite file would be lost with it.
    """
    uri = explicit or os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri:
        _check_uri(uri)
        return uri.rstrip("/")
    if "KUBERNETES_SERVICE_HOST" in os.environ and "ROPEWALK_HOME" not in os.environ:
        raise TrackingError(
            "No MLflow server is set, and this step runs in a pod, where an embedded store would be lost with the "
            "pod. Give the pipeline's parameter `mlflow_tracking_uri`, or set MLFLOW_TRACKING_URI in the profile; "
            "to keep an embedded store on a mounted volume, set ROPEWALK_HOME to a folder on it."
        )
    return embedded_tracking_uri()


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """An MLflow run that is being written to."""

    client: MlflowClient
    """Talks to the server or store; the registry is the same one."""
    uri: str
    """Tracking URI, without credentials."""
    id: str
    """MLflow's id of the run."""
    experiment_id: str
    """MLflow's id of its experiment."""
    start_time: int
    """Milliseconds since 1970; the timestamp of all metrics, so that logging them twice changes nothing."""

    def log(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        steps: Mapping[int, Mapping[str, float]] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Log everything in as few requests as the server's limits allow; logging the same again changes nothing.

        Args:
            params: Name to value; long values are cut.
            metrics: Name to final value.
            steps: Step (an epoch) to metrics of that step.
            tags: Name to value; long values are cut.
        """
        from mlflow.entities import Metric, Param, RunTag

        points = [Metric(name, value, self.start_time, 0) for name, value in (metrics or {}).items()]
        points += [
            Metric(name, value, self.start_time, step)
            for step, values in (steps or {}).items()
            for name, value in values.items()
        ]
        named = [Param(name, _cut(value)) for name, value in (params or {}).items()]
        marks = [RunTag(name, _cut(value)) for name, value in (tags or {}).items()]
        # One request takes so many of each kind; the lists are nearly always shorter, which makes it one request.
        for batch in range(_batches(points, named, marks)):
            self.client.log_batch(
                self.id,
                metrics=points[batch * _MAX_METRICS : (batch + 1) * _MAX_METRICS],
                params=named[batch * _MAX_PARAMS : (batch + 1) * _MAX_PARAMS],
                tags=marks[batch * _MAX_TAGS : (batch + 1) * _MAX_TAGS],
            )


@contextmanager
def pipeline_run(uri: str, *, run_id: str, run_name: str = "") -> Iterator[TrackedRun]:
    """Yield the MLflow run of the pipeline run `run_id`, and end it: FINISHED, or FAILED when the block raises.

    With $MLFLOW_RUN_ID set (KFP's own MLflow support does that) that run is adopted, whatever its experiment.
    Otherwise there is one run per `run_id`, known by its tag, in the experiment $MLFLOW_EXPERIMENT_NAME or
    "ropewalk": a second attempt goes on with the first one's run. The environment is left as it is.

    Raises:
        ServiceError: The server cannot be reached; reported in less than 30 s.
        TrackingError: The server refused, or $MLFLOW_RUN_ID is not there.
    """
    client = connect(uri)
    with tracking_errors(uri):
        with first_contact(), exclusive(uri):
            adopted = os.environ.get("MLFLOW_RUN_ID", "")
            run = client.get_run(adopted) if adopted else _find_or_create(client, uri, run_id, run_name)
        if run.info.status != "RUNNING":
            client.update_run(run.info.run_id, status="RUNNING")
        with _ended(client, run.info.run_id):
            yield TrackedRun(
                client=client,
                uri=uri,
                id=run.info.run_id,
                experiment_id=run.info.experiment_id,
                start_time=run.info.start_time,
            )


def connect(uri: str) -> MlflowClient:
    """Return a client of the server or store at `uri`; a missing sqlite store is created, whole or not at all."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    if uri.startswith("sqlite:"):
        _create_store(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def first_contact() -> Iterator[None]:
    """Have a server that is down or does not answer reported in less than 30 s, before work was done for it."""
    with _environment(_FIRST_CONTACT):
        yield


def store_exists(uri: str) -> bool:
    """Return whether there is anything to read at `uri`: False for a sqlite store that nobody has made yet."""
    return not uri.startswith("sqlite:") or _database(uri).exists()


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Hold the store's lock when it is a sqlite file; a server has none: see `turns`.

    Raises:
        ServiceError: Another process has held the lock for five minutes.
    """
    if not uri.startswith("sqlite:"):
        yield
        return
    from filelock import FileLock, Timeout

    database = _database(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{database}.lock", timeout=_LOCK_SECONDS, is_singleton=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise ServiceError(
            f"{database}.lock has been held by another process for {_LOCK_SECONDS:.0f} s. "
            "Wait for the other run, or stop it, and run again."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def tracking_errors(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into ours: ServiceError when trying again may help, TrackingError when it will not."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise _explained(error, uri) from error


def _check_uri(uri: str) -> None:
    parts = urlsplit(uri)
    if "@" in parts.netloc:
        raise ConfigError(
            f"The MLflow tracking URI for {parts.hostname} holds credentials, and URIs are shown in logs and pages. "
            "Write it without them, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or MLFLOW_TRACKING_TOKEN, from a secret."
        )
    if parts.scheme.split("+")[0] not in _SCHEMES:
        raise ConfigError(
            f"mlflow_tracking_uri={uri!r} is not of a kind that MLflow writes to. Give a server, as in "
            "'http://mlflow.mlflow:5000', or a database, as in 'sqlite:////data/mlflow.db'."
        )


def _database(uri: str) -> Path:
    return Path(urlsplit(uri).path.removeprefix("/")).absolute()


def _create_store(uri: str) -> None:
    database = _database(uri)
    if database.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with exclusive(uri), tracking_errors(uri):
        if database.exists():
            return
        # The schema takes many statements: a killed attempt must never leave half of them under the final name.
        for leftover in database.parent.glob(f"{database.name}.*.partial*"):
            leftover.unlink()
        # SQLAlchemy keeps connections by name, so a second attempt in this process needs a new one.
        draft = database.with_name(f"{database.name}.{uuid.uuid4().hex}.partial")
        store = SqlAlchemyStore(f"sqlite:///{draft}", str(_artifact_folder(uri)))
        store.engine.dispose()
        draft.replace(database)


def _artifact_folder(uri: str) -> Path:
    return _database(uri).parent / "mlartifacts"


def _find_or_create(client: MlflowClient, uri: str, run_id: str, run_name: str) -> Run:
    experiment_id = _experiment(client, uri)
    found = _runs(client, experiment_id, run_id)
    if found:
        return found[0]
    if uri.startswith("sqlite:"):
        # The file has been locked since before the look, and no request can be sent twice.
        return client.create_run(experiment_id, tags={RUN_ID_TAG: run_id}, run_name=run_name or run_id)
    with _turn_at(client, experiment_id):
        found = _runs(client, experiment_id, run_id)
        return found[0] if found else _create_run(client, experiment_id, run_id, run_name)


def _create_run(client: MlflowClient, experiment_id: str, run_id: str, run_name: str) -> Run:
    mine = client.create_run(experiment_id, tags={RUN_ID_TAG: run_id}, run_name=run_name or run_id)
    # A request that was sent again because its answer was lost has made two.
    first = (_runs(client, experiment_id, run_id) or [mine])[0]
    if first.info.run_id != mine.info.run_id:
        client.delete_run(mine.info.run_id)
    return first


@contextmanager
def _turn_at(client: MlflowClient, experiment_id: str) -> Iterator[None]:
    board = Board(
        title=f"the experiment {experiment_id}",
        read=lambda: client.get_experiment(experiment_id).tags,
        write=lambda tag, value: client.set_experiment_tag(experiment_id, tag, value),
        erase=lambda tag: client.delete_experiment_tag(experiment_id, tag),
    )
    with turn(board):
        yield


def _runs(client: MlflowClient, experiment_id: str, run_id: str) -> list[Run]:
    wanted = f"tags.`{RUN_ID_TAG}` = '{_quotable(run_id)}'"
    return list(
        client.search_runs([experiment_id], wanted, order_by=["attributes.start_time ASC", "attributes.run_id ASC"])
    )


def _quotable(text: str) -> str:
    if "'" in text or '"' in text:
        raise ConfigError(f"run_id={text!r} holds a quotation mark. Use letters, digits, '-', '_' and '.'.")
    return text


def _experiment(client: MlflowClient, uri: str) -> str:
    from mlflow.exceptions import MlflowException

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
    known = client.get_experiment_by_name(name)
    if known is None:
        folder = _artifact_folder(uri).as_uri() if uri.startswith("sqlite:") else None
        try:
            return client.create_experiment(name, artifact_location=folder)
        except MlflowException as error:
            known = client.get_experiment_by_name(name)
            if known is None or error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    if known.lifecycle_stage != "active":
        raise TrackingError(
            f"The MLflow experiment {name!r} at {uri} has been deleted. Restore it with `mlflow experiments restore "
            f"--experiment-id {known.experiment_id}`, or name another one in MLFLOW_EXPERIMENT_NAME."
        )
    return str(known.experiment_id)


@contextmanager
def _ended(client: MlflowClient, run_id: str) -> Iterator[None]:
    try:
        with _terminated_like_any_exit():
            yield
    except BaseException as error:
        _end_failed(client, run_id, error)
        raise
    client.set_terminated(run_id, "FINISHED")


def _end_failed(client: MlflowClient, run_id: str, error: BaseException) -> None:
    from mlflow.exceptions import MlflowException

    if not isinstance(error, Exception):
        # A statement that a signal interrupted holds sqlite's lock for as long as its frame is remembered.
        traceback.clear_frames(error.__traceback__)
    try:
        client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
    except MlflowException as second:
        error.add_note(f"The MLflow run {run_id} could not be marked as failed either: {second}")


@contextmanager
def _terminated_like_any_exit() -> Iterator[None]:
    """Let SIGTERM, by which Kubernetes stops a pod, unwind the stack, so that the run does not stay RUNNING."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(before)


def _explained(error: MlflowException, uri: str) -> RopewalkError:
    reason = str(error)
    if "disk is full" in reason:
        return StorageError(f"Cannot write to {uri}: the disk is full. Free some space and run again.")
    if "database is locked" in reason:
        return ServiceError(f"{uri} is locked by another process. Run again when it has ended.")
    if "failed with exception" in reason or (uri.startswith("http") and error.get_http_status_code() >= 500):
        return ServiceError(
            f"The MLflow server at {uri} cannot be reached, or does not answer as it should. Check that it runs "
            f"(curl {uri}/health), that the address is right (parameter mlflow_tracking_uri or MLFLOW_TRACKING_URI), "
            f"and that this machine may reach it; then run again. Its last answer: {_cut(reason)}"
        )
    if error.error_code in ("PERMISSION_DENIED", "UNAUTHENTICATED") or error.get_http_status_code() in (401, 403):
        return TrackingError(
            f"The MLflow server at {uri} does not let us in: {_cut(reason)} Check MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, and the server's --allowed-hosts."
        )
    if error.error_code == "RESOURCE_DOES_NOT_EXIST" and "MLFLOW_RUN_ID" in os.environ:
        return TrackingError(
            f"MLflow at {uri}: {_cut(reason)} MLFLOW_RUN_ID={os.environ['MLFLOW_RUN_ID']} names the run to go on with: "
            "it must be in the same store, or unset the variable."
        )
    return TrackingError(f"MLflow at {uri} refused: {_cut(reason)}")


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _batches(points: list[Any], params: list[Any], tags: list[Any]) -> int:
    sizes = ((points, _MAX_METRICS), (params, _MAX_PARAMS), (tags, _MAX_TAGS))
    return max(-(-len(items) // size) for items, size in sizes)
