"""Latency is measured per row and per batch, and predictions in parts are those of the whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ropewalk.evaluation import speed
from ropewalk.evaluation.speed import predict, timed_predictions
from ropewalk.preprocess.splits import read_split
from ropewalk.training.model import load_model


def test_predictions_come_with_their_speed_and_the_models_size(fitted: Callable[..., Path]) -> None:
    folder = fitted("binary")
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    predicted, found = timed_predictions(model, test)
    assert np.array_equal(predicted, model.predict(test))
    assert 0 < found.row_seconds <= found.slow_row_seconds < 1
    assert 0 < found.batch_seconds < 1
    assert found.batch_rows == test.num_rows < 1000
    assert found.rows_per_second > 100
    assert found.model_bytes == sum(
        file.stat().st_size for file in (folder / "model").iterdir() if file.name != "manifest.json"
    )


def test_many_rows_are_predicted_in_parts(fitted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fitted("multiclass")
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    whole = model.predict(test)
    monkeypatch.setattr(speed, "_PREDICTED_AT_ONCE", 50)
    assert predict(model, test) == pytest.approx(whole, abs=1e-6)
