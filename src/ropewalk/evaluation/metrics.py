"""Scores of predictions.

Arrays: `truth` (rows,) holds class indices or numbers; `predicted` holds probabilities (rows, classes) or
numbers (rows,).
"""

import numpy as np

from ropewalk.errors import DataError, TrainingError
from ropewalk.evaluation.scorers import SCORERS, Array, Floats, Ranking

__all__ = ["Array", "Floats", "check_predictions", "check_truth", "roc_auc", "score"]


def score(task: str, truth: Array, predicted: Floats) -> dict[str, float]:
    """Return every metric of `task` as a finite number.

    Raises:
        DataError: The rows cannot be scored: they hold one class, or one value, only.
        TrainingError: The model predicts something that is no finite number.
    """
    check_predictions(predicted)
    once = np.ones((1, len(truth)), dtype=np.uint8)
    scores = {name: float(value[0]) for name, value in SCORERS[task](truth, predicted).scores(once).items()}
    bad = [name for name, value in scores.items() if not np.isfinite(value)]
    if bad:
        raise DataError(
            f"{', '.join(bad)} cannot be computed on the test split: the target's numbers are too large "
            f"(up to {np.max(np.abs(truth)):.3g}). Rescale the target."
        )
    return scores


def check_predictions(predicted: Floats) -> None:
    """Refuse predictions that are not all finite.

    Raises:
        TrainingError: Says how many rows have none.
    """
    finite = np.isfinite(predicted if predicted.ndim == 1 else predicted.sum(axis=1))
    if not finite.all():
        raise TrainingError(
            f"The model gives no finite prediction for {np.sum(~finite):,} of {len(finite):,} test rows. "
            "Train it again with a lower learning rate."
        )


def check_truth(task: str, truth: Array, classes: list[str]) -> None:
    """Refuse test rows that no model could be scored on.

    Raises:
        DataError: They hold one class, or one value, only.
    """
    values = np.unique(truth)
    if len(values) > 1:
        return
    shown = [repr(classes[int(value)]) if classes else f"{value:g}" for value in values]
    raise DataError(
        f"The test split ({len(truth):,} rows) has {shown[0] if shown else 'nothing'} as its only target, "
        f"so a {task} model cannot be scored on it. Use more data, a larger preprocess.test_fraction, or "
        "(for splits by time) another time_column."
    )


def roc_auc(truth: Array, scores: Floats) -> float:
    """Return the area under the ROC curve of `scores` for `truth` in {0, 1}, with both present."""
    area, _ = Ranking(np.asarray(truth) == 1, scores).areas(np.ones((1, len(scores)), dtype=np.uint8))
    return float(area[0])
