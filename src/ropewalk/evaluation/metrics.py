"""Scores of predictions.

Arrays: `truth` (rows,) holds class indices or numbers; `predicted` holds probabilities (rows, classes) or
numbers (rows,).
"""

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from ropewalk.errors import DataError, TrainingError

Floats = NDArray[np.float64]
Array = NDArray[np.float64] | NDArray[np.int64]


def score(task: str, truth: Array, predicted: Floats) -> dict[str, float]:
    """Return every metric of `task` as a finite number.

    Raises:
        DataError: The rows cannot be scored: they hold one class, or one value, only.
        TrainingError: The model predicts something that is no finite number.
    """
    check_predictions(predicted)
    scores = _SCORERS[task](truth, predicted)
    bad = [name for name, value in scores.items() if not np.isfinite(value)]
    if bad:
        raise DataError(
            f"{', '.join(bad)} cannot be computed on the test split: the target's numbers are too large "
            f"(up to {np.max(np.abs(truth)):.3g}). Rescale the target."
        )
    return {name: float(value) for name, value in scores.items()}


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
    return float(sk.roc_auc_score(truth, scores))


def _binary(truth: Array, predicted: Floats) -> dict[str, float]:
    positive = predicted[:, 1]
    chosen = predicted.argmax(axis=1)
    return {
        "roc_auc": roc_auc(truth, positive),
        "average_precision": sk.average_precision_score(truth, positive),
        "accuracy": sk.accuracy_score(truth, chosen),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, chosen),
        "f1": sk.f1_score(truth, chosen, zero_division=0),
        "precision": sk.precision_score(truth, chosen, zero_division=0),
        "recall": sk.recall_score(truth, chosen, zero_division=0),
        "log_loss": sk.log_loss(truth, predicted, labels=[0, 1]),
        "brier": sk.brier_score_loss(truth, positive),
    }


def _multiclass(truth: Array, predicted: Floats) -> dict[str, float]:
    chosen = predicted.argmax(axis=1)
    present = np.unique(truth)
    recalls = [np.mean(chosen[truth == each] == each) for each in present]
    areas = [roc_auc(truth == each, predicted[:, each]) for each in present]
    return {
        "accuracy": sk.accuracy_score(truth, chosen),
        "balanced_accuracy": float(np.mean(recalls)),
        "macro_f1": sk.f1_score(truth, chosen, average="macro", zero_division=0),
        "roc_auc": float(np.mean(areas)),
        "log_loss": sk.log_loss(truth, predicted, labels=np.arange(predicted.shape[1])),
    }


def _regression(truth: Array, predicted: Floats) -> dict[str, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            "rmse": sk.root_mean_squared_error(truth, predicted),
            "mae": sk.mean_absolute_error(truth, predicted),
            "median_absolute_error": sk.median_absolute_error(truth, predicted),
            "r2": sk.r2_score(truth, predicted),
        }


_SCORERS = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
