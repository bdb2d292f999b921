import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError, ServiceError, TrackingError
from ropewalk.tracking import RUN_ID_TAG, connect, exclusive, pipeline_run, tracking_uri


def test_importing_the_module_does_not_import_mlflow() -> None:
    subprocess.run(
        [sys.executable, "-c", "import ropewalk.tracking, sys; sys.exit('mlflow' in sys.modules)"], check=True
    )


def test_an_explicit_uri_wins_over_the_environment_and_that_over_the_embedded_store(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracking_uri() == store
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from-environment:5000")
    assert tracking_uri() == "http://from-environment:5000"
    assert tracking_uri("https://explicit/mlflow/") == "https://explicit/mlflow"


def test_a_pod_without_a_server_is_refused_and_told_what_to_set(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert tracking_uri() == store
    monkeypatch.delenv("ROPEWALK_HOME")
    with pytest.raises(TrackingError, match=r"mlflow_tracking_uri.*MLFLOW_TRACKING_URI.*ROPEWALK_HOME"):
        tracking_uri()
    assert tracking_uri("http://mlflow:5000") == "http://mlflow:5000"


@pytest.mark.parametrize("uri", ["https://me:s3cret@mlflow.example", "postgresql://me:s3cret@db/mlflow"])
def test_a_uri_with_a_password_is_refused_without_repeating_it(uri: str) -> None:
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        tracking_uri(uri)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "mlflow.example:5000"])
def test_a_uri_that_mlflow_cannot_write_to_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:////data/mlflow\.db"):
        tracking_uri(uri)


def test_a_run_is_finished_with_what_was_logged(store: str) -> None:
    with pipeline_run(store, run_id="r1", run_name="first") as run:
        run.log(params={"a": 1}, metrics={"m": 0.5}, steps={1: {"loss": 2.0}, 2: {"loss": 1.0}}, tags={"t": "x"})
    found = connect(store).get_run(run.id)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "first")
    assert (found.data.params, found.data.metrics) == ({"a": "1"}, {"m": 0.5, "loss": 1.0})
    assert [point.step for point in connect(store).get_metric_history(run.id, "loss")] == [1, 2]
    assert found.data.tags[RUN_ID_TAG] == "r1"


def test_artifacts_go_into_the_state_folder(store: str, tmp_path: Path) -> None:
    with pipeline_run(store, run_id="r1") as run:
        run.client.log_text(run.id, "text", "note.txt")
    assert [file.name for file in (tmp_path / "home" / "mlartifacts").rglob("*.txt")] == ["note.txt"]


def test_a_second_attempt_goes_on_with_the_same_run_and_logs_nothing_twice(store: str) -> None:
    for _ in range(2):
        with pipeline_run(store, run_id="r1") as run:
            run.log(params={"a": 1}, metrics={"m": 0.5}, steps={1: {"loss": 2.0}}, tags={"t": "x"})
    assert len(connect(store).search_runs([run.experiment_id])) == 1
    assert len(connect(store).get_metric_history(run.id, "loss")) == 1


def test_more_than_one_request_takes_is_logged_whole(store: str) -> None:
    steps = {step: {"loss": float(step), "seconds": 1.0} for step in range(1200)}
    with pipeline_run(store, run_id="r1") as run:
        run.log(params={f"p{place}": place for place in range(230)}, steps=steps)
    assert len(connect(store).get_run(run.id).data.params) == 230
    assert len(connect(store).get_metric_history(run.id, "loss")) == 1200


def test_a_run_whose_block_raises_is_failed_and_the_error_comes_through(store: str) -> None:
    with pytest.raises(ValueError, match="boom"), pipeline_run(store, run_id="r1") as run:
        raise ValueError("boom")
    assert connect(store).get_run(run.id).info.status == "FAILED"


def test_an_error_of_mlflow_in_the_block_fails_the_run_and_is_explained(store: str) -> None:
    with pytest.raises(TrackingError, match="Changing param values"), pipeline_run(store, run_id="r1") as run:
        run.log(params={"a": 1})
        run.log(params={"a": 2})
    assert connect(store).get_run(run.id).info.status == "FAILED"


def test_a_run_that_is_terminated_does_not_stay_running(store: str) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, pipeline_run(store, run_id="r1") as run:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert caught.value.code == 143
    assert connect(store).get_run(run.id).info.status == "KILLED"
    assert signal.getsignal(signal.SIGTERM) is handler


def test_the_run_in_the_environment_is_adopted_and_the_environment_left_alone(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(store)
    elsewhere = client.create_experiment("KFP-Default")
    given = client.create_run(elsewhere)
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    before = dict(os.environ)
    with pipeline_run(store, run_id="r1") as run:
        run.log(tags={"t": "x"})
    assert (run.id, run.experiment_id) == (given.info.run_id, elsewhere)
    assert dict(os.environ) == before
    assert client.get_run(run.id).info.status == "FINISHED"
    assert client.get_experiment_by_name("ropewalk") is None


def test_a_run_in_the_environment_that_is_not_there_is_an_error(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)
    with pytest.raises(TrackingError, match="MLFLOW_RUN_ID=ffff"), pipeline_run(store, run_id="r1"):
        pass


def test_a_deleted_experiment_is_an_error_that_says_how_to_restore_it(store: str) -> None:
    client = connect(store)
    client.delete_experiment(client.create_experiment("ropewalk"))
    with pytest.raises(TrackingError, match="mlflow experiments restore"), pipeline_run(store, run_id="r1"):
        pass


def test_the_experiment_can_be_named_by_the_environment(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "houses")
    with pipeline_run(store, run_id="r1") as run:
        pass
    assert connect(store).get_experiment(run.experiment_id).name == "houses"


RACE = """
import sys, ropewalk.tracking as t
with t.pipeline_run(t.tracking_uri(), run_id="r1") as run:
    print(run.id)
"""


def test_two_processes_create_one_whole_store_and_one_run(tmp_path: Path) -> None:
    environment = {**os.environ, "ROPEWALK_HOME": str(tmp_path / "new")}
    racers = [
        subprocess.Popen([sys.executable, "-c", RACE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ids = {racer.communicate(timeout=120)[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0]
    assert len(ids) == 1
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_creation_that_was_killed_is_made_good_by_the_next_one(tmp_path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    create = SqlAlchemyStore.__init__

    def killed(*arguments: object) -> None:
        create(*arguments)
        (tmp_path / "mlflow.db.0.partial-journal").write_bytes(b"a journal")
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SqlAlchemyStore, "__init__", killed)
        connect(f"sqlite:///{tmp_path}/mlflow.db")
    assert not (tmp_path / "mlflow.db").exists()
    assert len(list(tmp_path.glob("*.partial*"))) == 2
    with pipeline_run(f"sqlite:///{tmp_path}/mlflow.db", run_id="r1") as run:
        assert run.id
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_store_held_by_another_process_is_a_service_error(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropewalk.tracking._LOCK_SECONDS", 0.2)
    with exclusive(store):
        other = subprocess.run(
            [sys.executable, "-c", HELD, store], capture_output=True, text=True, timeout=60, check=False
        )
    assert "ServiceError" in other.stderr


HELD = """
import sys, ropewalk.tracking as t
t._LOCK_SECONDS = 0.2
with t.exclusive(sys.argv[1]):
    pass
"""


def test_a_server_that_is_not_there_is_reported_soon_with_its_address(store: str) -> None:
    started = time.monotonic()
    address = r"http://127\.0\.0\.1:9 .*curl http://127\.0\.0\.1:9/health"
    with pytest.raises(ServiceError, match=address), pipeline_run("http://127.0.0.1:9", run_id="r1"):
        pass
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("answer", ["hang", "503"])
def test_a_server_that_does_not_serve_is_reported_within_30_seconds(answer: str, store: str) -> None:
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if answer == "hang":
                released.wait(60)
            else:
                self.send_error(503)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    uri = f"http://127.0.0.1:{server.server_port}"
    started = time.monotonic()
    try:
        with pytest.raises(ServiceError, match=uri), pipeline_run(uri, run_id="r1"):
            pass
        assert time.monotonic() - started < 30
    finally:
        released.set()
        server.shutdown()
        server.server_close()
