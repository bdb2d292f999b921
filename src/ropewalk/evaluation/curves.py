"""Curves and tables behind the plots, as plain numbers few enough to store and draw."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from ropewalk.evaluation.calibration import calibration_bins
from ropewalk.evaluation.intervals import wilson
from ropewalk.evaluation.metrics import Array, Floats

MOST_POINTS = 200
MOST_KFP_CLASSES = 50
_SCORE_BINS = 25


def roc_points(truth: Array, scores: Floats) -> dict[str, list[float]]:
    """Return at most MOST_POINTS points of the ROC curve, from (0, 0) to (1, 1), with finite thresholds.

    Keys: false_positive_rate, true_positive_rate, threshold (falling; a row counts as positive from it on).
    """
    false, true, thresholds = sk.roc_curve(truth, scores)
    keep = _spread(false, true)
    thresholds = np.where(np.isfinite(thresholds), thresholds, max(1.0, float(np.max(scores))))
    return _lists(false_positive_rate=false[keep], true_positive_rate=true[keep], threshold=thresholds[keep])


def precision_recall_points(truth: Array, scores: Floats) -> dict[str, list[float]]:
    """Return at most MOST_POINTS points of precision over rising recall."""
    precision, recall, _ = sk.precision_recall_curve(truth, scores)
    reached = recall > 0
    precision, recall = precision[reached][::-1], recall[reached][::-1]
    keep = _spread(recall, precision)
    return _lists(recall=recall[keep], precision=precision[keep])


def calibration_points(truth: Array, scores: Floats) -> dict[str, list[float]]:
    """Return mean score and observed share of positives in up to 10 bins of equally many rows.

    `low` and `high` are the 95 % interval of the observed share.
    """
    bins = calibration_bins(scores)
    rows = np.bincount(bins)
    filled = rows > 0
    rows = rows[filled]
    observed = np.bincount(bins, weights=truth)[filled] / rows
    predicted = np.bincount(bins, weights=scores)[filled] / rows
    low, high = wilson(observed, rows)
    return _lists(predicted=predicted, observed=observed, low=low, high=high, rows=rows)


def score_shares(truth: Array, scores: Floats) -> dict[str, list[float]]:
    """Return the share of each class's rows in 25 bins of the score. Keys: edges, negative, positive."""
    edges = np.linspace(0, 1, _SCORE_BINS + 1)
    negative, positive = (np.histogram(scores[truth == each], bins=edges)[0] for each in (0, 1))
    return _lists(edges=edges, negative=negative / negative.sum(), positive=positive / positive.sum())


def confusion_counts(truth: Array, predicted: Floats) -> NDArray[np.int64]:
    """Return how many rows of each true class (row) were predicted as each class (column)."""
    labels = np.arange(predicted.shape[1])
    return np.asarray(sk.confusion_matrix(truth, predicted.argmax(axis=1), labels=labels), dtype=np.int64)


def class_scores(confusion: NDArray[np.int64]) -> list[dict[str, float]]:
    """Return rows, precision, recall and F1 of each class; 0 where it was never predicted or never there."""
    right, rows, chosen = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return [
        {
            "rows": int(count),
            "precision": float(hit / max(picked, 1)),
            "recall": float(hit / max(count, 1)),
            "f1": float(2 * hit / max(count + picked, 1)),
        }
        for hit, count, picked in zip(right, rows, chosen, strict=True)
    ]


def threshold_points(truth: Array, scores: Floats) -> dict[str, list[float]]:
    """Return precision and recall when rows count as positive from a threshold on, for 101 thresholds."""
    thresholds = np.linspace(0, np.max(scores), 101)
    positives = np.sort(scores[truth == 1])
    chosen = len(scores) - np.searchsorted(np.sort(scores), thresholds)
    right = len(positives) - np.searchsorted(positives, thresholds)
    return _lists(threshold=thresholds, precision=right / chosen, recall=right / len(positives))


def error_points(truth: Array, predicted: Floats) -> dict[str, list[float]]:
    """Return the share of rows whose prediction is off by at most `error`, without the farthest 1 %."""
    shares = np.linspace(0, 0.99, 100)
    return _lists(error=np.quantile(np.abs(predicted - truth), shares), share=shares)


def curves_of(task: str, truth: Array, predicted: Floats) -> dict[str, Any]:
    """Return all curves of a task by name, ready for JSON."""
    if task == "regression":
        return {"errors": error_points(truth, predicted)}
    confusion = confusion_counts(truth, predicted)
    if task == "binary":
        scores = predicted[:, 1]
        return {
            "roc": roc_points(truth, scores),
            "precision_recall": precision_recall_points(truth, scores),
            "calibration": calibration_points(truth, scores),
            "scores": score_shares(truth, scores),
            "thresholds": threshold_points(truth, scores),
            "confusion": confusion.tolist(),
        }
    right = (predicted.argmax(axis=1) == truth).astype(np.int64)
    return {
        "calibration": calibration_points(right, predicted.max(axis=1)),
        "confusion": confusion.tolist(),
        "classes": class_scores(confusion),
    }


def kfp_classification(curves: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """Return the metadata of a KFP ClassificationMetrics: what its UI draws the ROC curve and matrix from.

    Empty for regression; no matrix above MOST_KFP_CLASSES classes, which the UI could not show.
    """
    metadata: dict[str, Any] = {}
    if "roc" in curves:
        roc = curves["roc"]
        points = zip(roc["threshold"], roc["true_positive_rate"], roc["false_positive_rate"], strict=True)
        metadata["confidenceMetrics"] = [
            {"confidenceThreshold": threshold, "recall": true, "falsePositiveRate": false}
            for threshold, true, false in points
        ]
    if classes and len(classes) <= MOST_KFP_CLASSES:
        metadata["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": name} for name in classes],
            "rows": [{"row": row} for row in curves["confusion"]],
        }
    return metadata


def _spread(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Return the places of at most MOST_POINTS points, evenly along the curve, both ends included."""
    if len(x) <= MOST_POINTS:
        return np.arange(len(x))
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return np.unique(np.searchsorted(way, np.linspace(0, way[-1], MOST_POINTS)).clip(0, len(x) - 1))


def _lists(**arrays: NDArray[Any]) -> dict[str, list[float]]:
    return {name: [float(value) for value in array] for name, array in arrays.items()}
