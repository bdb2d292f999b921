"""The same against a real `mlflow server` with PostgreSQL, S3, users and passwords."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ropewalk import tracking
from ropewalk.errors import ServiceError, TrackingError
from ropewalk.registry.aliases import crown, turn_at
from ropewalk.registry.champion import fetch_champion
from ropewalk.registry.register import register
from ropewalk.tracking import connect, pipeline_run


def test_a_model_is_registered_once_under_an_odd_name_and_loads_through_the_server(
    server: Any, subject: tuple[Path, Path, Path], raw_rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "Häuser v2.1 - für_alle"
    first = register(*subject, name=name, run_id="s1", tracking_uri=server.uri)
    assert register(*subject, name=name, run_id="s1", tracking_uri=server.uri) == first
    assert (first.version, first.alias) == ("1", "champion")
    client = connect(server.uri)
    assert client.get_run(first.mlflow_run_id).info.status == "FINISHED"
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    assert client.get_registered_model(name).tags == {}
    assert client.get_experiment_by_name("ropewalk").tags == {}
    assert any(stored.key.endswith("/weights.safetensors") for stored in server.bucket.objects.all())
    monkeypatch.setattr(sys, "path", list(sys.path))
    mlflow.set_tracking_uri(server.uri)
    try:
        loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
        assert len(loaded.predict(raw_rows)) == len(raw_rows)
    finally:
        mlflow.set_tracking_uri(None)


def test_twenty_attempts_at_once_register_one_version_in_one_run(server: Any, race: Callable[..., set[str]]) -> None:
    assert len(race(20, name="raced", run_id="s2", uri=server.uri)) == 1
    client = connect(server.uri)
    (version,) = client.search_model_versions("name = 'raced'")
    experiment = client.get_experiment_by_name("ropewalk").experiment_id
    (run,) = client.search_runs([experiment], "tags.`ropewalk.run_id` = 's2'")
    assert (run.info.status, run.info.run_id) == ("FINISHED", version.run_id)
    (logged,) = client.search_logged_models([experiment], "name = 'raced'")
    assert (logged.status, logged.artifact_location) == ("READY", version.source)


def test_the_champion_comes_back_from_s3_and_changed_bytes_are_told(
    server: Any, subject: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    register(*subject, name="fetched", run_id="s6", tracking_uri=server.uri)
    found = fetch_champion("fetched", server.uri, tmp_path / "champion")
    assert found is not None
    assert (found.version, found.model, found.problem) == ("1", tmp_path / "champion", "")
    source = connect(server.uri).get_model_version("fetched", "1").source.partition(":/")[2]
    weights = server.bucket.Object(f"root/{source}/artifacts/model/weights.safetensors")
    weights.put(Body=weights.get()["Body"].read()[:-1] + b"\x7f")
    changed = fetch_champion("fetched", server.uri, tmp_path / "changed")
    assert changed is not None
    assert "'weights.safetensors' has changed" in changed.problem
    weights.delete()
    gone = fetch_champion("fetched", server.uri, tmp_path / "gone")
    assert gone is not None
    assert "The artifact store no longer has" in gone.problem or "is missing" in gone.problem


def test_the_run_that_kfp_started_is_adopted_with_its_experiment(
    server: Any, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(server.uri)
    experiment = client.create_experiment("KFP-Default")
    given = client.create_run(experiment, run_name="given by KFP")
    for name in ("model", "evaluation", "name", "run_id", "run_name", "mlflow_tracking_uri"):
        client.log_param(given.info.run_id, name, '"by KFP"')
    # What KFP 2.17 sets when its MLflow plugin injects variables; users and passwords come beside them.
    injected = {"TRACKING_URI": server.uri, "RUN_ID": given.info.run_id, "EXPERIMENT_ID": experiment}
    for name, value in injected.items():
        monkeypatch.setenv(f"MLFLOW_{name}", value)
    before = dict(os.environ)
    done = register(*subject, name="adopted", run_id="s3")
    assert (done.mlflow_run_id, done.tracking_uri) == (given.info.run_id, server.uri)
    assert {name: os.environ[name] for name in before} == before
    run = client.get_run(given.info.run_id)
    assert (run.info.run_name, run.info.experiment_id) == ("given by KFP", experiment)
    assert run.data.params["training.best_epoch"] == "2"
    assert [str(version.version) for version in client.search_model_versions("name = 'adopted'")] == ["1"]


def test_no_secret_reaches_tags_pages_logs_or_artifacts(
    server: Any, subject: tuple[Path, Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    done = register(*subject, name="secrets", run_id="s7", tracking_uri=server.uri)
    client = connect(server.uri)
    run, version = client.get_run(done.mlflow_run_id), client.get_model_version("secrets", "1")
    location = version.source.partition(":/")[2]
    stored = [one for one in server.bucket.objects.all() if location in one.key or done.mlflow_run_id in one.key]
    written = [one.get()["Body"].read().decode("utf-8", "replace") for one in stored]
    assert len(written) > 10
    told = [*map(str, (run.data.tags, run.data.params, version.tags, version.description)), *capfd.readouterr()]
    assert not [text for text in told + written if "a-secret-of" in text]


def test_a_host_name_that_the_server_does_not_allow_is_explained(server: Any) -> None:
    other = server.uri.replace("127.0.0.1", "localhost")
    with pytest.raises(TrackingError, match="--allowed-hosts"), pipeline_run(other, run_id="s4"):
        pass


def test_a_wrong_password_is_told_without_repeating_it(
    server: Any, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-secret-that-is-wrong")
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        register(*subject, name="refused", run_id="s8", tracking_uri=server.uri)
    assert "a-secret" not in str(caught.value)


def test_a_user_who_may_only_read_is_told_and_changes_nothing(
    server: Any, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(*subject, name="guarded", run_id="s9", tracking_uri=server.uri)
    client = connect(server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "reader")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-secret-of-the-reader")
    with pytest.raises(TrackingError, match=r"does not let us in.*Permission denied"):
        register(*subject, name="guarded", run_id="s10", tracking_uri=server.uri)
    assert client.get_registered_model("guarded").tags == {}
    assert len(client.search_model_versions("name = 'guarded'")) == 1


def test_a_store_that_takes_nothing_fails_the_run_and_the_next_attempt_makes_it_good(
    server: Any, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    kept = {stored.key: stored.get()["Body"].read() for stored in server.bucket.objects.all()}
    server.bucket.objects.all().delete()
    server.bucket.delete()
    try:
        with pytest.raises(ServiceError, match=r"artifact store of MLflow .* did not take"):
            register(*subject, name="full", run_id="s11", tracking_uri=server.uri)
    finally:
        server.bucket.create()
        for key, body in kept.items():
            server.bucket.put_object(Key=key, Body=body)
    client = connect(server.uri)
    experiment = client.get_experiment_by_name("ropewalk").experiment_id
    (run,) = client.search_runs([experiment], "tags.`ropewalk.run_id` = 's11'")
    assert run.info.status == "FAILED"
    assert client.search_model_versions("name = 'full'") == []
    assert register(*subject, name="full", run_id="s11", tracking_uri=server.uri).version == "1"
    assert client.get_run(run.info.run_id).info.status == "FINISHED"


def test_an_alias_that_somebody_moves_at_the_same_moment_is_told(
    server: Any, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("s12", "s13"):
        register(*subject, name="moved", run_id=run_id, tracking_uri=server.uri)
    client = connect(server.uri)
    real = MlflowClient.set_registered_model_alias

    def and_someone_else(self: MlflowClient, name: str, alias: str, version: str) -> None:
        real(self, name, alias, version)
        if alias == "champion":
            real(self, name, alias, "1")

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", and_someone_else)
    with pytest.raises(TrackingError, match="somebody else moved the alias"), turn_at(client, server.uri, "moved"):
        crown(client, "moved", "2")
    assert client.get_registered_model("moved").tags == {}


def test_a_server_that_hangs_is_reported_before_work_is_done_for_it(
    server: Any, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tracking._FIRST_CONTACT, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(ServiceError, match=server.uri):
            register(*subject, name="slow", run_id="s14", tracking_uri=server.uri)
    finally:
        server.signal(signal.SIGCONT)
    with pytest.raises(MlflowException, match="not found"):
        connect(server.uri).get_registered_model("slow")


def test_a_server_that_restarts_in_the_middle_is_waited_for(
    server: Any, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MlflowClient.log_model_artifacts
    starting = threading.Thread(target=server.start)

    def with_a_restart(*arguments: object, **named: object) -> None:
        if not starting.ident:
            server.stop()
            starting.start()
        real(*arguments, **named)

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", with_a_restart)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    done = register(*subject, name="restarted", run_id="s15", tracking_uri=server.uri)
    starting.join()
    client = connect(server.uri)
    assert (done.version, client.get_run(done.mlflow_run_id).info.status) == ("1", "FINISHED")
    assert len(client.search_model_versions("name = 'restarted'")) == 1


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
