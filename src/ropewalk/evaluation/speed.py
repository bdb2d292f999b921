"""How fast a model answers, and how large it is."""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ropewalk.evaluation.scorers import Floats
from ropewalk.training.model import TrainedModel

BATCH_ROWS = 1000
"""Rows of a batch whose latency is measured."""
_PREDICTED_AT_ONCE = 65_536
_SINGLE_ROWS = 50
_BATCHES = 5


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast the model answers on this machine, raw rows in and predictions out; and its size."""

    rows_per_second: float
    """Over the whole test split."""
    row_seconds: float
    """Median time of one row by itself."""
    slow_row_seconds: float
    """Time that 19 of 20 single rows take at most."""
    batch_seconds: float
    """Median time of a batch of `batch_rows`."""
    batch_rows: int
    """1,000, or all test rows when they are fewer."""
    model_bytes: int
    """Size of the model's files."""


def predict(model: TrainedModel, rows: pa.Table) -> Floats:
    """Return the model's predictions, worked out some rows at a time to keep memory in bounds."""
    parts = range(0, rows.num_rows, _PREDICTED_AT_ONCE)
    return np.concatenate([model.predict(rows.slice(first, _PREDICTED_AT_ONCE)) for first in parts])


def timed_predictions(model: TrainedModel, test: pa.Table) -> tuple[Floats, Speed]:
    """Return the predictions for `test`, and how fast they came."""
    single = [_seconds(model, test.slice(row % test.num_rows, 1)) for row in range(_SINGLE_ROWS)]
    batch = test.slice(0, BATCH_ROWS)
    batches = [_seconds(model, batch) for _ in range(_BATCHES)]
    started = time.perf_counter()
    predicted = predict(model, test)
    return predicted, Speed(
        rows_per_second=test.num_rows / (time.perf_counter() - started),
        row_seconds=statistics.median(single),
        slow_row_seconds=sorted(single)[int(0.95 * len(single))],
        batch_seconds=statistics.median(batches),
        batch_rows=batch.num_rows,
        model_bytes=sum(entry["bytes"] for entry in model.manifest.files.values()),
    )


def _seconds(model: TrainedModel, rows: pa.Table) -> float:
    started = time.perf_counter()
    model.predict(rows)
    return time.perf_counter() - started
