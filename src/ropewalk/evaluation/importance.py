"""How much a model relies on each column: what its headline metric loses when that column is shuffled.

Permutation importance (Breiman 2001, Machine Learning 45:5). Columns that tell the same share it: shuffling one of them
leaves the other.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ropewalk.evaluation.catalog import gain, headline
from ropewalk.evaluation.influence import influence, standard_errors, whole
from ropewalk.evaluation.scorers import Array, Floats
from ropewalk.evaluation.speed import predict
from ropewalk.training.model import TrainedModel

_FEW_ROWS = 5000
_MOST_REPEATS = 5
_Z95 = 1.959964


@dataclass(frozen=True, kw_only=True)
class Importance:
    """What a column is worth to the model."""

    column: str
    loss: float
    """By how much the headline metric gets worse when the column is shuffled."""
    low: float
    """The loss's 95 % interval, of a paired comparison over rows."""
    high: float


def importances(
    model: TrainedModel, truth: Array, predicted: Floats, test: pa.Table, *, most_rows: int, seed: int
) -> list[Importance]:
    """Return the importance of every raw column that the model reads, greatest first; none where it is not defined.

    With fewer than 5,000 rows each column is shuffled up to 5 times, and the losses averaged.

    Args:
        model: The model.
        truth: The test rows' target.
        predicted: The model's predictions for them.
        test: Raw test rows.
        most_rows: Rows to use, drawn at random when there are more.
        seed: Seed of the draw and the shuffles.
    """
    random = np.random.default_rng(seed)
    chosen = np.arange(test.num_rows)
    if len(chosen) > most_rows:
        chosen = np.sort(random.choice(chosen, size=most_rows, replace=False))
    rows = test.select(model.feature_names).take(chosen)
    truth, predicted = truth[chosen], predicted[chosen]
    groups = whole(len(chosen))
    before = influence(model.task, truth, predicted, groups)
    if not np.isfinite(before.values[0]):
        return []
    best = headline(model.task)
    repeats = int(np.clip(_FEW_ROWS // len(chosen), 1, _MOST_REPEATS))
    found = []
    for place, name in enumerate(model.feature_names):
        values, moved = [], np.zeros(len(chosen))
        for _ in range(repeats):
            shuffled = rows.set_column(place, rows.schema.field(name), rows[name].take(random.permutation(len(chosen))))
            after = influence(model.task, truth, predict(model, shuffled), groups)
            values.append(after.values[0])
            moved += after.rows / repeats
        loss = gain(best, float(before.values[0]), float(np.mean(values)))
        reach = _Z95 * float(standard_errors(before.rows - moved, groups)[0])
        found.append(Importance(column=name, loss=loss, low=loss - reach, high=loss + reach))
    return sorted(found, key=lambda each: -each.loss)
