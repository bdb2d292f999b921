"""A run is followed to its end: few calls, through everything that passes, and never for ever."""

import json
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from ropewalk.cluster.patience import Patience
from ropewalk.errors import ClusterError, RunError, ServiceError
from ropewalk.launch.client.follow import WaitTimeoutError, follow
from ropewalk.launch.client.submit import submit
from ropewalk.launch.client.tasks import read_steps, task_names
from ropewalk.launch.request import Request, open_request
from ropewalk.launch.specification import describe
from ropewalk.launch.steps import Step, Steps


class Seen:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def show(self, steps: Steps, step: Step, event: str) -> None:
        self.events.append((step.task, step.state if event == "finished" else event))


class Told(list[str]):
    """Lines that were said; something happens with each."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def append(self, line: str) -> None:
        super().append(line)
        self._act()


def _follow(server, run, names: Sequence[str], *, seen=None, said=None, timeout=30.0):
    told = said if said is not None else []
    return follow(server, run["run_id"], names, progress=seen or Seen(), notice=told.append, timeout=timeout)


@pytest.fixture
def request_(compiled) -> Request:
    return open_request(str(compiled))


@pytest.fixture
def names(request_) -> list[str]:
    import yaml

    return task_names(yaml.safe_load(request_.text))


def test_each_change_is_told_once(api, server, request_, names):
    seen = Seen()
    run = _follow(server, submit(server, request_, {}), names, seen=seen)
    assert run["state"] == "SUCCEEDED"
    assert seen.events == [event for name in _order(seen) for event in ((name, "started"), (name, "succeeded"))]
    assert set(_order(seen)) == set(names)


def _order(seen: Seen) -> list[str]:
    return [task for task, event in seen.events if event == "started"]


def test_a_run_that_is_cancelled_ends(api, server, request_, names):
    run = submit(server, request_, {})
    api.state.plan.held.add("pull-data")
    threading.Timer(0.3, lambda: api.state.runs[run["run_id"]].terminate()).start()
    said = Told(lambda: setattr(api.state.plan, "hold_cancel", False))
    api.state.plan.hold_cancel = True
    assert _follow(server, run, names, said=said)["state"] == "CANCELED"
    assert said == ["The run is being cancelled."]


def test_a_paused_run_is_told_and_goes_on(api, server, request_, names):
    api.state.plan.paused = True
    said = Told(lambda: setattr(api.state.plan, "paused", False))
    assert _follow(server, submit(server, request_, {}), names, said=said)["state"] == "SUCCEEDED"
    assert said == ["The run is PAUSED: it goes on when somebody resumes it. Waiting."]


def test_waiting_has_an_end(api, server, request_, names):
    api.state.plan.paused = True
    with pytest.raises(WaitTimeoutError, match=r"The run is PAUSED after 0\.5 s\. It goes on\."):
        _follow(server, submit(server, request_, {}), names, timeout=0.5)


def test_a_deleted_run_is_told(api, server, request_, names):
    run = submit(server, request_, {})
    api.state.plan.held.add("pull-data")
    threading.Timer(0.2, lambda: api.state.runs.clear()).start()
    with pytest.raises(RunError, match="somebody deleted it"):
        _follow(server, run, names)


def test_a_token_that_expires_meanwhile_is_read_anew(api, connect, request_, names, tmp_path):
    file = tmp_path / "token"
    file.write_text("first")
    api.gate.tokens = {"first": "ann"}
    server = connect(existing_token_file=str(file))

    def rotate() -> None:
        file.write_text("second")
        api.gate.tokens = {"second": "ann"}

    run = submit(server, request_, {})
    api.state.plan.held.add("pull-data")
    threading.Timer(0.3, rotate).start()
    threading.Timer(0.6, api.state.plan.held.clear).start()
    assert _follow(server, run, names)["state"] == "SUCCEEDED"


def test_a_token_that_stays_expired_ends_the_waiting_not_the_run(api, connect, request_, names, monkeypatch):
    monkeypatch.setenv("T", "first")
    api.gate.tokens = {"first": "ann"}
    server = connect(token_env="T")
    run = submit(server, request_, {})
    api.gate.tokens = {"second": "ann"}
    with pytest.raises(ClusterError, match="The bearer token is from T: it is wrong, or has expired"):
        _follow(server, run, names)
    assert api.state.runs[run["run_id"]].state == "PENDING"


def test_a_restart_and_faults_do_not_end_it(api, server, request_, names):
    run = submit(server, request_, {})
    api.faults.add(method="GET", path="/runs/", reset=True, times=2)
    api.faults.add(method="GET", path="/runs/", status=502, times=2)
    api.faults.add(method="GET", path="/runs/", status=429, times=1)
    restart = threading.Timer(0.3, api.restart, kwargs={"away": 0.7})
    restart.start()
    assert _follow(server, run, names)["state"] == "SUCCEEDED"
    restart.join()


def test_a_server_that_stays_away_ends_the_waiting(api, connect, request_, names):
    server = connect(patience=Patience(shortest_poll=0.02, longest_poll=0.1, first_retry=0.02, unreachable=0.5))
    run = submit(server, request_, {})
    api.faults.add(status=503, times=10_000)
    with pytest.raises(ServiceError, match="What runs there goes on"):
        _follow(server, run, names)


@pytest.mark.parametrize("skew", [7200.0, -7200.0])
def test_times_are_right_though_clocks_differ(api, server, request_, names, skew):
    api.state.skew = skew
    api.state.plan.held.add("pull-data")
    run = submit(server, request_, {})
    for _ in range(8):
        looked = server.get(f"/runs/{run['run_id']}")
    steps = {step.task: step for step in read_steps(looked, names, ahead=server.now() - time.time())}
    assert steps["pull-data"].state == "running"
    assert 0 <= steps["pull-data"].elapsed < 10
    assert steps["resolve-data"].seconds == pytest.approx(0, abs=2)


def test_200_tasks_cost_one_call_a_look_and_fewer_while_nothing_happens(api, connect):
    patience = Patience(shortest_poll=0.05, longest_poll=0.4, first_retry=0.02, unreachable=3.0)
    server = connect(patience=patience)
    tasks = {f"task-{number}": {"componentRef": {"name": "comp-a"}} for number in range(200)}
    spec = {
        "pipelineInfo": {"name": "wide"},
        "root": {"dag": {"tasks": tasks}},
        "components": {"comp-a": {"executorLabel": "exec-a"}},
        "deploymentSpec": {"executors": {"exec-a": {"container": {"image": "python:3.11"}}}},
        "schemaVersion": "2.1.0",
    }
    run = submit(server, Request(text=json.dumps(spec), specification=describe(spec)), {})
    api.state.plan.tasks_per_look = 40
    api.state.plan.held.add("task-100")
    before = len(api.calls)
    begun = time.monotonic()
    threading.Timer(3.0, api.state.plan.held.clear).start()
    seen = Seen()
    assert _follow(server, run, task_names(spec), seen=seen)["state"] == "SUCCEEDED"
    calls, seconds = len(api.calls) - before, time.monotonic() - begun
    assert {task for task, event in seen.events if event == "succeeded"} == set(tasks)
    assert {call.path.partition("?")[0] for call in api.calls[before:]} == {f"/apis/v2beta1/runs/{run['run_id']}"}
    assert calls <= seconds / patience.shortest_poll + 1
    assert calls < 40, "3 s in which nothing happens are looked at ever less often: at 0.05 s there would be 60 calls"


def test_a_task_in_a_loop_is_told_as_one():
    def detail(state):
        return {"display_name": "train", "state": state, "start_time": "2026-01-01T00:00:00Z"}

    def step(*states):
        run = {"run_details": {"task_details": [detail(state) for state in states]}}
        (found,) = read_steps(run, ["train"], ahead=0.0)
        return found

    assert step("SUCCEEDED", "RUNNING", "PENDING").state == "running"
    assert step("SUCCEEDED", "RUNNING", "PENDING").last_line == "1 of 3 are done"
    assert step("SUCCEEDED", "FAILED", "RUNNING").state == "failed"
    assert step("SUCCEEDED", "SKIPPED").state == "succeeded"


def test_without_the_pipeline_the_machinery_is_left_out(api, server, request_, names):
    api.state.plan.tasks_per_look = 100
    run = submit(server, request_, {})
    for _ in range(3):
        looked = server.get(f"/runs/{run['run_id']}")
    assert {step.task for step in read_steps(looked, [], ahead=0.0)} == set(names)
