"""Airflow itself runs the operator, the sensor and the DAG, against a server of KFP's API.

Airflow has an environment of its own, because its versions are not ours: made by uv in $ROPEWALK_TEST_CACHE (or
~/.cache/ropewalk), once a machine, in 15 s from nothing.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from kfp_server.passing import time_passes
from kfp_server.server import KfpServer, serve
from ropewalk.launch import catalog

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / "integrations" / "airflow"
VERSION = "3.3.2"
CACHE = Path(os.environ.get("ROPEWALK_TEST_CACHE", Path.home() / ".cache" / "ropewalk"))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Airflow, and with Ropewalk installed as docs/airflow.md says."""
    name = hashlib.sha256(f"{VERSION} {sys.version} {ROOT}".encode()).hexdigest()[:12]
    home = CACHE / f"airflow-{name}"
    CACHE.mkdir(parents=True, exist_ok=True)
    # Several workers may come at the same time.
    with FileLock(CACHE / f"airflow-{name}.lock"):
        if not (home / "ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            uv = [sys.executable, "-m", "uv"]
            install = [*uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python")]
            for command in (
                [*uv, "venv", "--quiet", "--python", sys.executable, str(home)],
                [*install, f"apache-airflow=={VERSION}"],
                [*install, "--no-deps", "--editable", str(ROOT)],
            ):
                ended = subprocess.run(command, capture_output=True, text=True, check=False)
                assert ended.returncode == 0, ended.stderr
            (home / "ready").touch()
    return home / "bin" / "python"


@pytest.fixture(scope="module")
def home(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AIRFLOW_HOME with an empty database and our files, put where docs/airflow.md says."""
    home = tmp_path_factory.mktemp("airflow")
    for folder in ("plugins", "dags"):
        shutil.copytree(AIRFLOW / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "training.yaml").write_text(catalog.to_yaml(catalog.pipeline("training")), encoding="utf-8")
    run_airflow(python, home, "db", "migrate")
    return home


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with serve() as server:
        yield server


def settings(home: Path, server: KfpServer | None = None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "PYTHONPATH": str(home / "plugins"),
        "ROPEWALK_PIPELINE": str(home / "training.yaml"),
        **({"KF_PIPELINES_ENDPOINT": server.url} if server else {}),
    }


def run_airflow(
    python: Path, home: Path, *words: str, server: KfpServer | None = None, code: int = 0, **more: str
) -> str:
    """Return all that `airflow WORDS` prints, after it has ended with `code`."""
    ended = subprocess.run(
        [str(python), "-m", "airflow", *words],
        env={**settings(home, server), **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == code, ended.stdout[-6000:] + ended.stderr[-6000:]
    return ended.stdout + ended.stderr


@pytest.fixture
def script(python: Path, home: Path, server: KfpServer) -> Callable[[str], dict]:
    """Return a function that runs Python in Airflow's environment and returns the JSON that it prints last."""

    def run(text: str) -> dict:
        ended = subprocess.run(
            [str(python), "-c", PRELUDE + text],
            env=settings(home, server),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    return run


PRELUDE = """
import asyncio, json, os, time
from types import SimpleNamespace

from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from ropewalk_airflow import RunSensor, RunTrigger, SubmitPipelineOperator

pushed = {}
def push(key, value):
    pushed[key] = value
ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, xcom_push=push)
context = {"ti": ti}
host = os.environ["KF_PIPELINES_ENDPOINT"]
os.environ["AIRFLOW_CONN_KFP"] = json.dumps({"conn_type": "http", "host": host, "password": "s3cret"})
def operator(**settings):
    return SubmitPipelineOperator(
        **{"task_id": "t", "pipeline": os.environ["ROPEWALK_PIPELINE"], "wait": False, **settings}
    )
def outcome(act):
    try:
        return ["returned", act()]
    except (AirflowException, TaskDeferred) as error:
        return [type(error).__name__, str(error)]
"""


def test_the_dag_trains_and_follows_the_run_to_its_end(python, home, server):
    conf = {"model_name": "flights", "epochs": 7}
    with time_passes(server):
        told = run_airflow(python, home, "dags", "test", "retraining", "--conf", json.dumps(conf), server=server)
    (run,) = server.state.runs.values()
    given = run.record["runtime_config"]["parameters"]
    assert given == {"data": "sample:breast_cancer", "data_path": "", "target": "", **conf}
    assert run.state == "SUCCEEDED"
    assert f"{server.url}/#/runs/details/{run.record['run_id']}" in told
    assert "state=success" in told


def test_the_dag_fails_with_the_run_and_tells_which_step_failed_and_why(python, home, server):
    server.state.plan.outcomes = {"train-model": "FAILED"}
    server.logs["train-model"] = b"epoch 1/7\nTrainingError: the loss is not a number\n"
    with time_passes(server):
        told = run_airflow(python, home, "dags", "test", "retraining", server=server, code=1)
    assert "train-model failed: main: Error (exit code 1)" in told
    assert "TrainingError: the loss is not a number" in told


def test_the_operator_tells_airflow_the_runs_id_and_address(script, server):
    told = script("""print(json.dumps([operator().execute(context), pushed]))""")
    (run_id,) = server.state.runs
    assert told == [run_id, {"run_id": run_id, "url": f"{server.url}/#/runs/details/{run_id}"}]


def test_a_second_try_goes_on_with_the_run_that_the_first_one_started(script, server):
    first, second, after_its_end = script("""
runs = [operator().execute(context), operator().execute(context)]
asyncio.run(RunTrigger(run_id=runs[0], poll_interval=1, cancel_on_kill=True).on_kill())
print(json.dumps([*runs, operator().execute(context)]))
""")
    assert first == second != after_its_end
    assert set(server.state.runs) == {first, after_its_end}


def test_a_wrong_setting_fails_for_good_before_anything_is_sent(script, server):
    wrong = [
        ({"parameters": {"epoch": 3}}, "Did you mean 'epochs'?"),
        ({"parameters": {"epochs": "many"}}, "need a whole number"),
        ({"pipeline": "/nowhere.yaml"}, "Cannot read the pipeline"),
        ({"profile": "/nowhere-profile.yaml"}, "cannot be read"),
    ]
    told = script(f"""
print(json.dumps([outcome(lambda: operator(**given).execute(context)) for given in {[given for given, _ in wrong]}]))
""")
    assert [kind for kind, _ in told] == ["AirflowFailException"] * len(wrong)
    assert all(message in text for (_, text), (_, message) in zip(told, wrong, strict=True))
    assert not server.calls


def test_an_interval_of_nothing_is_refused_when_the_dag_is_read(script):
    told = script("""
try:
    operator(poll_interval=0)
except ValueError as error:
    print(json.dumps(str(error)))
""")
    assert "need seconds above 0" in told


def test_a_task_that_waits_is_handed_over_without_any_secret(script, server):
    told = script("""
try:
    operator(wait=True, kfp_conn_id="kfp").execute(context)
except TaskDeferred as deferred:
    print(json.dumps(deferred.trigger.serialize()))
""")
    assert told[0] == "ropewalk_airflow.RunTrigger"
    assert told[1]["run_id"] in server.state.runs
    assert told[1]["cancel_on_kill"] is True
    assert "s3cret" not in json.dumps(told)


def test_the_token_is_the_password_of_the_airflow_connection(script, server):
    server.gate.tokens = {"s3cret": "airflow"}
    told = script("""
print(json.dumps([outcome(lambda: operator().execute(context)), operator(kfp_conn_id="kfp").execute(context)]))
""")
    assert told[0][0] == "AirflowFailException"
    assert told[1] in server.state.runs


def test_killing_a_task_cancels_its_run_before_and_after_it_is_handed_over(script, server):
    told = script("""
early = operator(); early.execute(context); early.on_kill()
ti.run_id = "another"
late = operator(); run_id = late.execute(context)
asyncio.run(RunTrigger(run_id=run_id, poll_interval=1, cancel_on_kill=True).on_kill())
print(json.dumps([early._run_id, run_id]))
""")
    assert [server.state.runs[run_id].state for run_id in told] == ["CANCELED", "CANCELED"]


def test_a_killed_sensor_leaves_a_run_that_is_not_its_own(script, server):
    run_id = script("""
run_id = operator().execute(context)
asyncio.run(RunTrigger(run_id=run_id, poll_interval=1, cancel_on_kill=False).on_kill())
print(json.dumps(run_id))
""")
    assert server.state.runs[run_id].state not in ("CANCELED", "CANCELING")


def test_a_cancelled_run_fails_for_good_and_a_failed_one_may_be_tried_again(script, server):
    server.state.plan.outcomes = {"pull-data": "FAILED"}
    told = script("""
run_id = operator().execute(context)
def follow(run_id):
    events = []
    async def wait():
        async for event in RunTrigger(run_id=run_id, poll_interval=0.05, cancel_on_kill=True).run():
            events.append(event.payload)
    asyncio.run(wait())
    return outcome(lambda: RunSensor(task_id="s", run_id=run_id).resume(context, events[0]))
failed = follow(run_id)
ti.run_id = "another"
early = operator(); early.execute(context); early.on_kill()
looked = outcome(lambda: RunSensor(task_id="s2", run_id=run_id, deferrable=False).poke(context))
print(json.dumps([failed, looked, follow(early._run_id), follow("3f2a90c1-0000-4000-8000-000000000000")]))
""")
    assert [kind for kind, _ in told] == [*["AirflowException"] * 2, *["AirflowFailException"] * 2]
    assert "pull-data failed" in told[0][1]
    assert "pull-data failed" in told[1][1]
    assert "CANCELED" in told[2][1]
    assert "somebody deleted it" in told[3][1]


def test_looking_at_many_runs_on_a_slow_server_does_not_hold_up_the_triggerer(script, server):
    server.state.plan.held = {"check-config"}
    run_id = script("""print(json.dumps(operator().execute(context)))""")
    server.extras.append(_slowly)
    longest = script(f"""
async def watch():
    triggers = [RunTrigger(run_id="{run_id}", poll_interval=0.1, cancel_on_kill=True) for _ in range(8)]
    tasks = [asyncio.ensure_future(anext(trigger.run())) for trigger in triggers]
    longest, end = 0.0, time.monotonic() + 5
    while time.monotonic() < end:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - before)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return longest
print(json.dumps(asyncio.run(watch())))
""")
    assert server.count("GET", f"/runs/{run_id}$") >= 6
    assert longest < 0.7 * SLOW_SECONDS  # a request in the loop itself would hold it up for longer than one


SLOW_SECONDS = 1.5


def _slowly(handler: object, path: str, body: str) -> bool:
    import time

    time.sleep(SLOW_SECONDS)
    return False


def test_what_airflow_reads_again_and_again_loads_nothing_heavy(script):
    heavy = ["kfp", "torch", "pandas", "mlflow", "pyarrow", "kubernetes"]
    assert script(f"""import sys; print(json.dumps([name for name in {heavy} if name in sys.modules]))""") == []
