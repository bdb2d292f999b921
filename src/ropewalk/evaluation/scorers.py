"""Every metric of a task for weighted rows: how often each row was drawn, for many draws at once.

All that does not depend on the weights (orders, ties, losses) is worked out once, so a bootstrap draw costs a few
passes over the rows and no sort. With weights of one these are the metrics of the rows as they are.
Shapes: `weights` is (draws, rows), uint8; what comes back is (draws,) per metric, NaN where a draw has no such number.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Array = NDArray[np.float64] | NDArray[np.int64]
Weights = NDArray[np.uint8]
Counts = NDArray[np.float64] | NDArray[np.int64]

_CHUNK = 16_384
"""Rows that are summed at a time, so that their weights stay in the processor's cache."""
_CACHED = 1 << 19
"""Most weights that are ordered at a time, for the same reason."""
_GROUP = 48
"""Neighbours in the order of errors whose counts are added up before a median is looked for among them."""
_SMALLEST = np.finfo(np.float64).eps
"""Probabilities are kept away from 0 and 1 by this in log loss, as scikit-learn does."""


class Scorer(Protocol):
    """The metrics of one model's predictions."""

    def scores(self, weights: Weights) -> dict[str, Floats]:
        """Return every metric of the task, (draws,) each."""


class Ranking:
    """Rows of two classes by falling score: areas under curves for any weights."""

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        order = np.argsort(-scores, kind="stable")
        is_positive = positive[order]
        self._positives, self._negatives = order[is_positive], order[~is_positive]
        high, low = -scores[self._positives], -scores[self._negatives]
        self._above = np.searchsorted(low, high, "left").astype(np.int32)
        """Negatives above each positive, and next those not below it: they differ by ties."""
        self._not_below = np.searchsorted(low, high, "right").astype(np.int32)
        self._positives_not_below = np.searchsorted(high, high, "right").astype(np.int32)

    def areas(self, weights: Weights) -> tuple[Floats, Floats]:
        """Return the area under the ROC curve and the average precision; NaN for draws that lack a class.

        The first is the share of (positive, negative) pairs in the right order, a tie counting half; the second the
        mean precision at the positives, ties counting as drawn together, as in scikit-learn.
        """
        found = [self._some(part) for part in _row_blocks(weights, _CACHED)]
        return np.concatenate([area for area, _ in found]), np.concatenate([precision for _, precision in found])

    def _some(self, weights: Weights) -> tuple[Floats, Floats]:
        drawn = weights.take(self._positives, axis=1)
        negatives = _cumulated(weights.take(self._negatives, axis=1))
        positives = _cumulated(drawn)
        above, not_below = negatives.take(self._above, axis=1), negatives.take(self._not_below, axis=1)
        hits = positives.take(self._positives_not_below, axis=1)
        pairs = positives[:, -1].astype(np.float64) * negatives[:, -1]
        precision = hits / np.maximum(hits + not_below, 1)
        lost = _dot(drawn, above) + _dot(drawn, not_below)
        with np.errstate(invalid="ignore", divide="ignore"):
            area = np.where(pairs > 0, 1 - lost / (2 * pairs), np.nan)
            average = np.where(positives[:, -1] > 0, _dot(drawn, precision) / positives[:, -1], np.nan)
        return area, average


class BinaryScorer:
    """Metrics of probabilities of two classes; classes are told apart at 0.5."""

    def __init__(self, truth: Array, predicted: Floats) -> None:
        positive, chosen = truth == 1, predicted.argmax(axis=1) == 1
        self._ranking = Ranking(positive, predicted[:, 1])
        squares = (predicted[:, 1] - truth) ** 2
        self._summed = _columns(positive, chosen, positive & chosen, _log_losses(truth, predicted), squares)

    def scores(self, weights: Weights) -> dict[str, Floats]:
        """Return every metric of the task."""
        rows = _total(weights)
        positives, chosen, hits, losses, squares = _sums(weights, self._summed)
        area, precision = self._ranking.areas(weights)
        negatives = rows - positives
        rejected = negatives - chosen + hits
        recall = _share(hits, positives)
        return {
            "roc_auc": area,
            "average_precision": precision,
            "accuracy": _share(hits + rejected, rows),
            "balanced_accuracy": (recall + _share(rejected, negatives)) / 2,
            "f1": _share(2 * hits, positives + chosen, empty=0.0),
            "precision": _share(hits, chosen, empty=0.0),
            "recall": recall,
            "log_loss": _share(losses, rows),
            "brier": _share(squares, rows),
        }


class MulticlassScorer:
    """Metrics of probabilities of several classes; a class that a draw lacks is left out of its means."""

    def __init__(self, truth: Array, predicted: Floats) -> None:
        self._classes = predicted.shape[1]
        self._cells = truth.astype(np.int64) * self._classes + predicted.argmax(axis=1)
        self._rankings = [Ranking(truth == each, predicted[:, each]) for each in np.unique(truth).astype(int)]
        self._summed = _columns(_log_losses(truth, predicted))

    def scores(self, weights: Weights) -> dict[str, Floats]:
        """Return every metric of the task."""
        cells = self._classes**2
        counts = np.stack([np.bincount(self._cells, each, cells) for each in weights])
        matrix = counts.reshape(-1, self._classes, self._classes)
        hits, rows, chosen = matrix.diagonal(axis1=1, axis2=2), matrix.sum(axis=2), matrix.sum(axis=1)
        areas = np.stack([ranking.areas(weights)[0] for ranking in self._rankings], axis=1)
        total = _total(weights)
        return {
            "accuracy": _share(hits.sum(axis=1), total),
            "balanced_accuracy": _mean_of_present(_share(hits, rows)),
            "macro_f1": _mean_of_present(_share(2 * hits, rows + chosen)),
            "roc_auc": _mean_of_present(areas),
            "log_loss": _share(_sums(weights, self._summed)[0], total),
        }


class RegressionScorer:
    """Metrics of predicted numbers.

    Medians: rows are put in groups of neighbours in the order of errors; a draw's median is in the group where half of
    its rows are reached. The groups are strided through the rows, so that adding up all groups is adding whole rows of
    bytes. Rows that are there in `best_order` already need not be put in order for each draw.
    """

    def __init__(self, truth: Array, predicted: Floats) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            errors = np.abs(predicted - truth)
            centered = truth - np.mean(truth)
            self._summed = _columns(errors**2, errors, centered, centered**2)
        self._groups = len(errors) // _GROUP
        by_error = np.argsort(errors, kind="stable")
        self._sorted = errors[by_error]
        in_order = np.array_equal(errors, _strided(self._sorted, self._groups))
        self._order = None if in_order else _strided(by_error, self._groups).astype(np.int32)

    @staticmethod
    def best_order(truth: Array, predicted: Floats) -> NDArray[np.int64]:
        """Return the order of rows in which medians are found soonest."""
        with np.errstate(over="ignore", invalid="ignore"):
            by_error = np.argsort(np.abs(predicted - truth), kind="stable")
        return _strided(by_error, len(by_error) // _GROUP)

    def scores(self, weights: Weights) -> dict[str, Floats]:
        """Return every metric of the task."""
        ordered = weights if self._order is None else weights.take(self._order, axis=1)
        reached = self._reached(ordered)
        rows = reached[:, -1].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            squares, errors, first, second = _sums(weights, self._summed)
            around = second - _share(first**2, rows)
            return {
                "rmse": np.sqrt(_share(squares, rows)),
                "mae": _share(errors, rows),
                "median_absolute_error": self._medians(ordered, reached),
                "r2": 1 - _share(squares, around),
            }

    def _reached(self, ordered: Weights) -> NDArray[np.int64]:
        """Return how many rows of each draw are in the first 1, 2, 3 ... groups; the last one is shorter."""
        whole = self._groups * _GROUP
        grouped = ordered[:, :whole].reshape(len(ordered), _GROUP, self._groups).sum(axis=1, dtype=np.uint16)
        rest = ordered[:, whole:].sum(axis=1, dtype=np.int64)
        return np.cumsum(np.column_stack([grouped, rest]), axis=1, dtype=np.int64)

    def _medians(self, ordered: Weights, reached: NDArray[np.int64]) -> Floats:
        """Return the mean of the two errors in the middle, which are one when an odd number of rows was drawn."""
        drawn = reached[:, -1]
        low, high = (self._error_at(middle, ordered, reached) for middle in ((drawn - 1) // 2, drawn // 2))
        return np.asarray(np.where(drawn > 0, (low + high) / 2, np.nan))

    def _error_at(self, place: NDArray[np.int64], ordered: Weights, reached: NDArray[np.int64]) -> Floats:
        """Return the error that is `place`-th, from 0, in each draw."""
        group = (reached <= place[:, None]).sum(axis=1).clip(max=self._groups)
        before = np.column_stack([np.zeros(len(reached), dtype=np.int64), reached])[np.arange(len(group)), group]
        within = np.arange(_GROUP)
        strided = group[:, None] + self._groups * within
        last = self._groups * _GROUP + within
        columns = np.where(group[:, None] < self._groups, strided, last).clip(max=ordered.shape[1] - 1)
        inside = np.cumsum(np.take_along_axis(ordered, columns, axis=1), axis=1, dtype=np.int64) + before[:, None]
        found = group * _GROUP + (inside <= place[:, None]).sum(axis=1)
        return np.asarray(self._sorted.take(found, mode="clip"))


SCORERS: dict[str, Callable[[Array, Floats], Scorer]] = {
    "binary": BinaryScorer,
    "multiclass": MulticlassScorer,
    "regression": RegressionScorer,
}


def _columns(*columns: NDArray[np.float64] | NDArray[np.bool_]) -> Floats:
    return np.stack(columns, axis=1).astype(np.float64)


def _strided(ordered: NDArray[Any], groups: int) -> NDArray[Any]:
    """Return what is ordered with the first of each group of neighbours in front, then the second of each ..."""
    whole = groups * _GROUP
    return np.concatenate([ordered[:whole].reshape(groups, _GROUP).T.ravel(), ordered[whole:]])


def _row_blocks(weights: Weights, most: int) -> Iterator[Weights]:
    step = max(1, most // max(weights.shape[1], 1))
    return (weights[first : first + step] for first in range(0, len(weights), step))


def _sums(weights: Weights, columns: Floats) -> Floats:
    """Return the weighted sum of each column in each draw, (columns, draws)."""
    found = np.zeros((len(weights), columns.shape[1]))
    for first in range(0, len(columns), _CHUNK):
        found += weights[:, first : first + _CHUNK].astype(np.float64) @ columns[first : first + _CHUNK]
    return np.asarray(found.T)


def _total(weights: Weights) -> Floats:
    return np.asarray(weights.sum(axis=1, dtype=np.int64), dtype=np.float64)


def _cumulated(drawn: Weights) -> NDArray[np.int32]:
    """Return how many were drawn among the first 0, 1, 2 ... of them."""
    found = np.zeros((len(drawn), drawn.shape[1] + 1), dtype=np.int32)
    np.cumsum(drawn, axis=1, dtype=np.int32, out=found[:, 1:])
    return found


def _dot(drawn: Weights, values: NDArray[np.int32] | Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", drawn, values, dtype=np.float64))


def _share(part: Counts, whole: Counts, *, empty: float = np.nan) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, empty))


def _mean_of_present(values: Floats) -> Floats:
    """Return the mean over classes, without those that are NaN."""
    known = ~np.isnan(values)
    return _share(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1))


def _log_losses(truth: Array, predicted: Floats) -> Floats:
    of_truth = predicted[np.arange(len(truth)), truth.astype(np.int64)]
    return np.asarray(-np.log(of_truth.clip(_SMALLEST, 1 - _SMALLEST)))
