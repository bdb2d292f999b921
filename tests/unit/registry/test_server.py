"""The same against a real `mlflow server`, over HTTP and with artifacts through it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import requests

from ropewalk.errors import TrackingError
from ropewalk.registry import versions as versions_module
from ropewalk.registry.register import register
from ropewalk.tracking import connect, pipeline_run


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a server; it needs about ten seconds to start."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy2(empty_store, folder / "mlflow.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"),
            *(f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--artifacts-destination={folder}/artifacts"),
            f"--allowed-hosts=127.0.0.1:{port}",
        ],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(uri, process)
        yield uri
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_healthy(uri: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        try:
            if requests.get(f"{uri}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.3)
    raise AssertionError(f"mlflow server did not become healthy; exit code {process.poll()}")


@pytest.fixture
def subject(
    make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path
) -> tuple[Path, Path, Path]:
    model = make_model()
    return model, make_evaluation(model), report


def test_a_model_is_registered_once_and_loads_through_the_server(
    store: str, server: str, subject: tuple[Path, Path, Path], raw_rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = register(*subject, name="houses", run_id="s1", tracking_uri=server)
    assert register(*subject, name="houses", run_id="s1", tracking_uri=server) == first
    assert (first.version, first.alias) == ("1", "champion")
    client = connect(server)
    assert client.get_run(first.mlflow_run_id).info.status == "FINISHED"
    assert len(client.search_model_versions("name = 'houses'")) == 1
    monkeypatch.setattr(sys, "path", list(sys.path))
    mlflow.set_tracking_uri(server)
    try:
        loaded = mlflow.pyfunc.load_model("models:/houses@champion")
        assert len(loaded.predict(raw_rows)) == len(raw_rows)
    finally:
        mlflow.set_tracking_uri(None)


def test_twins_of_a_race_leave_the_lowest_version_and_one_logged_model(
    store: str, server: str, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = register(*subject, name="twins", run_id="s2", tracking_uri=server)
    monkeypatch.setattr(versions_module, "find_version", lambda *_arguments, **_named: None)
    monkeypatch.setattr("mlflow.MlflowClient.search_logged_models", lambda *_arguments, **_named: [])
    assert register(*subject, name="twins", run_id="s2", tracking_uri=server).version == first.version
    monkeypatch.undo()
    client = connect(server)
    assert [str(version.version) for version in client.search_model_versions("name = 'twins'")] == ["1"]
    run = client.get_run(first.mlflow_run_id)
    mine = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    assert [model.artifact_location for model in mine] == [client.get_model_version("twins", "1").source]


def test_the_run_that_kfp_started_is_adopted_with_its_experiment(
    store: str, server: str, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server)
    experiment = client.create_experiment("KFP-Default")
    given = client.create_run(experiment, run_name="given by KFP")
    for name in ("model", "evaluation", "name", "run_id", "run_name", "mlflow_tracking_uri"):
        client.log_param(given.info.run_id, name, '"by KFP"')
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    done = register(*subject, name="adopted", run_id="s3")
    assert (done.mlflow_run_id, done.tracking_uri) == (given.info.run_id, server)
    assert os.environ["MLFLOW_RUN_ID"] == given.info.run_id
    run = client.get_run(given.info.run_id)
    assert (run.info.run_name, run.info.experiment_id) == ("given by KFP", experiment)
    assert run.data.params["training.best_epoch"] == "2"
    assert [str(version.version) for version in client.search_model_versions("name = 'adopted'")] == ["1"]


def test_a_host_name_that_the_server_does_not_allow_is_explained(store: str, server: str) -> None:
    other = server.replace("127.0.0.1", "localhost")
    with pytest.raises(TrackingError, match="--allowed-hosts"), pipeline_run(other, run_id="s4"):
        pass


def test_mlflows_scoring_server_reads_json_with_nulls_and_unseen_categories(
    store: str, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.pyfunc import scoring_server

    register(*subject, name="houses", run_id="s5")
    monkeypatch.setattr(sys, "path", list(sys.path))
    mlflow.set_tracking_uri(store)
    try:
        loaded = mlflow.pyfunc.load_model("models:/houses@champion")
    finally:
        mlflow.set_tracking_uri(None)
    full = {"size": 1, "rooms": None, "colour": "mauve", "garden": None, "built": "2024-01-01T02:00:00"}
    empty = dict.fromkeys(full)
    schema = loaded.metadata.get_input_schema()
    answer = scoring_server.invocations(
        json.dumps({"dataframe_records": [full, empty]}), "application/json", loaded, schema
    )
    assert answer.status == 200, answer.response
    predictions = json.loads(answer.response)["predictions"]
    assert [row["probability_no"] + row["probability_yes"] for row in predictions] == pytest.approx([1, 1])
