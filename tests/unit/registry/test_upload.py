"""Weights are on their way while the run is recorded; what belongs to the run is whole, and nobody waits in vain."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ropewalk.registry.register import register
from ropewalk.tracking import connect


def test_a_step_that_is_told_to_stop_while_weights_are_on_their_way_does_not_wait_for_them(
    store: str, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = threading.Event()

    def slow(*arguments: object, **named: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        arrived.wait(60)

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", slow)
    started = time.monotonic()
    with pytest.raises(SystemExit):
        register(*subject, name="houses", run_id="r1")
    arrived.set()
    assert time.monotonic() - started < 20
    monkeypatch.undo()
    client = connect(store)
    (run,) = client.search_runs([client.get_experiment_by_name("ropewalk").experiment_id])
    assert (run.info.status, client.search_model_versions("name = 'houses'")) == ("KILLED", [])


def test_what_is_recorded_meanwhile_is_whole_although_weights_take_longer(
    store: str, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, kept = MlflowClient.log_model_artifacts, []

    def slow(client: MlflowClient, model_id: str, folder: str, **named: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            time.sleep(1)
        real(client, model_id, folder, **named)
        kept.append(sorted(file.name for file in Path(folder).rglob("*") if file.is_file()))

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", slow)
    registered = register(*subject, name="houses", run_id="r1")
    weights, rest = kept
    assert "weights.safetensors" in weights
    assert "MLmodel" in rest
    assert not set(weights) & set(rest)
    assert connect(store).get_run(registered.mlflow_run_id).data.metrics
