"""Airflow submits a compiled pipeline to Kubeflow Pipelines and follows it, without holding a worker meanwhile.

Put this file into Airflow's plugins folder, and Ropewalk beside Airflow with `pip install --no-deps ropewalk`: what is
used of it needs only what Airflow brings (requests, PyYAML, rich). See docs/airflow.md.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from ropewalk.errors import ClusterError, ConfigError, RopewalkError
from ropewalk.launch import steps
from ropewalk.launch.client.connect import find_connection, open_server, read_connection
from ropewalk.launch.client.credentials import Token
from ropewalk.launch.client.logs import log_tail
from ropewalk.launch.client.publish import equals
from ropewalk.launch.client.server import Server
from ropewalk.launch.client.server_runs import cancel, find_run, run_url, tasks_of
from ropewalk.launch.client.submit import submit
from ropewalk.launch.client.tasks import CANCELED, ENDED, SUCCEEDED, pods, read_steps
from ropewalk.launch.parameters import parse_parameters
from ropewalk.launch.request import open_request

DELETED = "DELETED"
LOG_LINES = 20
"""Of each failed step's log, so many of the last lines go into Airflow's."""


class SubmitPipelineOperator(BaseOperator):
    """Starts a run of a compiled pipeline, and waits for its end in the triggerer.

    Returns the run's id; XCom also gets `run_id` and `url`. Succeeds only if the run does. A retry of the task goes on
    with the run that its last try had started, if that one has not ended. Marking the task as failed, or clearing it,
    cancels the run.

    Args:
        pipeline: Path of a compiled .yaml file, readable for workers.
        parameters: The pipeline's; checked against the file before anything is sent. Texts may be templates.
        wait: Whether to wait; False is for a RunSensor that does it.
        experiment: Experiment that the run belongs to; made where it is missing.
        service_account: Kubernetes service account of its pods; "": the server's default.
        poll_interval: Seconds between two looks at the run, above 0.
        profile: Path of a profile whose kfp section says where the server is and how one logs in.
        host: Address of the API; wins over the profile's.
        namespace: Your namespace, where several users share the server; wins over the profile's.
        kfp_conn_id: An Airflow connection of type HTTP: its host is the API's address, its password a bearer token.

    Raises:
        ValueError: poll_interval is not above 0; when the DAG is read.
        AirflowFailException: The pipeline or a parameter is wrong, or somebody cancelled the run; is not retried.
        AirflowException: The run failed, or the server is away.
    """

    template_fields: Sequence[str] = ("pipeline", "parameters", "experiment", "profile", "host", "namespace")
    ui_color = "#e6f0ff"

    def __init__(
        self,
        *,
        pipeline: str,
        parameters: Mapping[str, Any] | None = None,
        wait: bool = True,
        experiment: str = "",
        service_account: str = "",
        poll_interval: float = 15.0,
        profile: str = "",
        host: str = "",
        namespace: str = "",
        kfp_conn_id: str = "",
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        if poll_interval <= 0:
            raise ValueError(f"poll_interval={poll_interval}: need seconds above 0, such as 15.")
        self.pipeline = pipeline
        self.parameters = dict(parameters or {})
        self.wait = wait
        self.experiment = experiment
        self.service_account = service_account
        self.poll_interval = poll_interval
        self.profile = profile
        self.host = host
        self.namespace = namespace
        self.kfp_conn_id = kfp_conn_id
        self._run_id = ""

    def execute(self, context: Mapping[str, Any]) -> str:
        """Start the run, or find the one that an earlier try started."""
        try:
            with _connect(self) as server:
                run = self._start(server, _run_name(context["ti"]))
                self._run_id = run["run_id"]
                url = run_url(server, self._run_id)
        except RopewalkError as error:
            _fail(error)
        self.log.info("Run %s: %s", self._run_id, url)
        context["ti"].xcom_push(key="run_id", value=self._run_id)
        context["ti"].xcom_push(key="url", value=url)
        if self.wait:
            trigger = RunTrigger(run_id=self._run_id, cancel_on_kill=True, **_place(self))
            self.defer(trigger=trigger, method_name="resume", timeout=self.execution_timeout)
        return self._run_id

    def resume(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> str:
        """Return the run's id if it has succeeded."""
        return _conclude(self, event)

    def on_kill(self) -> None:
        """Cancel the run: the task was killed before the triggerer took over."""
        if self._run_id:
            with _connect(self) as server:
                cancel(server, find_run(server, self._run_id))

    def _start(self, server: Server, name: str) -> dict[str, Any]:
        request = open_request(self.pipeline)
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in self.parameters.items()}
        arguments = parse_parameters(texts, request.specification)
        query = {"filter": equals("display_name", name), "sort_by": "created_at desc"}
        if server.namespace:
            query["namespace"] = server.namespace
        for run in server.pages("/runs", "runs", query):
            if run.get("state") not in ENDED:
                self.log.info("An earlier try has started the run %s, which goes on.", run["run_id"])
                return run
        experiment = self.experiment or (read_connection(Path(self.profile)).experiment if self.profile else "")
        return submit(
            server, request, arguments, name=name, experiment=experiment, service_account=self.service_account
        )


class RunSensor(BaseSensorOperator):
    """Waits in the triggerer until a run has ended, and succeeds only if the run has.

    Args:
        run_id: Id of the run, such as `submit.output`.
        cancel_on_kill: Whether marking this task as failed, or clearing it, cancels the run.
        deferrable: False looks from a worker, for `mode="reschedule"`.
        profile: As the three that follow: see SubmitPipelineOperator.
        host: Address of the API.
        namespace: Your namespace.
        kfp_conn_id: An Airflow connection.

    Raises:
        AirflowFailException: Somebody cancelled or deleted the run, or where the server is was given wrongly.
        AirflowException: The run failed, or the server is away.
    """

    template_fields: Sequence[str] = ("run_id", "profile", "host", "namespace")
    ui_color = "#e6f0ff"

    def __init__(
        self,
        *,
        run_id: str,
        cancel_on_kill: bool = False,
        deferrable: bool = True,
        profile: str = "",
        host: str = "",
        namespace: str = "",
        kfp_conn_id: str = "",
        **arguments: Any,
    ) -> None:
        super().__init__(**{"poke_interval": 15.0, **arguments})
        self.run_id = run_id
        self.cancel_on_kill = cancel_on_kill
        self.deferrable = deferrable
        self.profile = profile
        self.host = host
        self.namespace = namespace
        self.kfp_conn_id = kfp_conn_id

    @property
    def poll_interval(self) -> float:
        """Seconds between two looks."""
        return self.poke_interval

    def execute(self, context: Mapping[str, Any]) -> Any:
        """Wait where `deferrable` says."""
        if not self.deferrable:
            return super().execute(context)
        trigger = RunTrigger(run_id=self.run_id, cancel_on_kill=self.cancel_on_kill, **_place(self))
        return self.defer(trigger=trigger, method_name="resume", timeout=self.timeout)

    def poke(self, context: Mapping[str, Any]) -> bool:
        """Return whether the run has succeeded."""
        try:
            with _connect(self) as server:
                event = _look(server, self.run_id)
        except RopewalkError as error:
            _fail(error)
        return bool(event and _conclude(self, event))

    def resume(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> str:
        """Return the run's id if it has succeeded."""
        return _conclude(self, event)


class RunTrigger(BaseTrigger):
    """Fires when a run has ended. Requests are made in threads: the triggerer's other triggers go on meanwhile."""

    def __init__(
        self,
        *,
        run_id: str,
        poll_interval: float,
        cancel_on_kill: bool,
        profile: str = "",
        host: str = "",
        namespace: str = "",
        kfp_conn_id: str = "",
    ) -> None:
        super().__init__()
        self.run_id = run_id
        self.poll_interval = poll_interval
        self.cancel_on_kill = cancel_on_kill
        self.profile = profile
        self.host = host
        self.namespace = namespace
        self.kfp_conn_id = kfp_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is kept in Airflow's database: where the server is, and no secret."""
        return f"{__name__}.RunTrigger", {
            "run_id": self.run_id,
            "cancel_on_kill": self.cancel_on_kill,
            **_place(self),
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the run until it has ended."""
        try:
            with await self._connect() as server:
                while (event := await asyncio.to_thread(_look, server, self.run_id)) is None:
                    await asyncio.sleep(self.poll_interval)
        except RopewalkError as error:
            event = {"run_id": self.run_id, "error": str(error)}
        yield TriggerEvent(event)

    async def on_kill(self) -> None:
        """Cancel the run: a person has marked the waiting task as failed, or cleared it."""
        if self.cancel_on_kill:
            with await self._connect() as server:
                await asyncio.to_thread(lambda: cancel(server, find_run(server, self.run_id)))

    async def _connect(self) -> Server:
        connection = await BaseHook.aget_connection(self.kfp_conn_id) if self.kfp_conn_id else None
        return await asyncio.to_thread(_open, self, connection)


def _look(server: Server, run_id: str) -> dict[str, Any] | None:
    """Return what a trigger tells of a run that has ended, None while it goes on."""
    run = server.get(f"/runs/{run_id}", absent=True)
    state = DELETED if run is None else run.get("state")
    if state not in {*ENDED, DELETED}:
        return None
    return {"run_id": run_id, "state": state}


def _conclude(task: "SubmitPipelineOperator | RunSensor", event: Mapping[str, Any]) -> str:
    """Return the id of the run that `event` tells of, if it has succeeded."""
    run_id, state = event["run_id"], event.get("state", "")
    if state == SUCCEEDED:
        return str(run_id)
    if not state:
        raise AirflowException(event["error"])
    if state == DELETED:
        raise AirflowFailException(f"The run {run_id} is not on the server any more: somebody deleted it.")
    try:
        with _connect(task) as server:
            told = _failures(server, run_id)
            url = run_url(server, run_id)
    except RopewalkError as error:
        told, url = f"Why cannot be had: {error}", ""
    kind = AirflowFailException if state == CANCELED else AirflowException
    raise kind(f"The run {run_id} ended {state}: {url}\n{told}".strip())


def _failures(server: Server, run_id: str) -> str:
    """Return the steps of a run that failed, each with the server's word and the end of its log."""
    run = server.get(f"/runs/{run_id}") or {}
    told = []
    for step in read_steps(run, tasks_of(server, run), ahead=0.0):
        if step.state == steps.FAILED:
            nodes = pods(run, step.task, failed=True)
            log = log_tail(server, run, nodes[0]) if nodes else None
            told += [f"{step.task} failed: {step.error}", *(log or "").splitlines()[-LOG_LINES:]]
    return "\n".join(told)


def _fail(error: RopewalkError) -> NoReturn:
    """Raise Airflow's error: trying again helps against an absent server, not against a wrong setting or a refusal."""
    hopeless = isinstance(error, ConfigError | ClusterError)
    raise (AirflowFailException if hopeless else AirflowException)(str(error)) from error


def _run_name(instance: Any) -> str:
    """Return the name that all tries of a task's run share."""
    place = f"{instance.task_id}[{instance.map_index}]" if instance.map_index >= 0 else instance.task_id
    return f"{instance.dag_id} {place} {instance.run_id}"


def _place(task: Any) -> dict[str, Any]:
    names = ("poll_interval", "profile", "host", "namespace", "kfp_conn_id")
    return {name: getattr(task, name) for name in names}


def _connect(task: Any) -> Server:
    return _open(task, BaseHook.get_connection(task.kfp_conn_id) if task.kfp_conn_id else None)


def _open(task: Any, connection: Connection | None) -> Server:
    """Return the server that `profile`, `host`, `namespace` and the Airflow connection lead to."""
    host = task.host or (_address(connection) if connection else "")
    config = find_connection(Path(task.profile) if task.profile else None, host, task.namespace)
    token = connection.password if connection else None
    given = Token(lambda: token, source=f"the Airflow connection {task.kfp_conn_id}", keep=True) if token else None
    return open_server(config, credentials=given)


def _address(connection: Connection) -> str:
    host = connection.host or ""
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    return f"{host}:{connection.port}" if connection.port else host
