"""Standard errors of the headline metric in groups of rows, alone and as paired differences, without resampling.

A metric's influence function says by how much each row moves it; its spread over the rows gives the standard error
(Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 6). For ROC AUC this is the method of
DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44:837). Two models' influences on the same rows subtract, which
makes their comparison a paired one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ropewalk.evaluation.scorers import Array, Floats

FEWEST_OF_A_CLASS = 10
"""Rows of either class below which a group has no ROC AUC: its standard error would mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Which group each row belongs to."""

    codes: NDArray[np.int64]
    """Group of each row, in 0..count - 1."""
    count: int
    """At most 65,536."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each group."""
        return np.bincount(self.codes, minlength=self.count)

    def means(self, values: Floats) -> Floats:
        """Return the mean of each group's `values`; NaN where it has no rows."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.bincount(self.codes, values, self.count) / self.sizes)


@dataclass(frozen=True, kw_only=True)
class Influence:
    """The headline metric per group, and by how much each row moves its group's."""

    values: Floats
    """(groups,); NaN where the metric is not defined."""
    rows: Floats
    """(rows,); their mean is 0 in each group."""


def whole(rows: int) -> Groups:
    """Return all rows as one group."""
    return Groups(codes=np.zeros(rows, dtype=np.int64), count=1)


def influence(task: str, truth: Array, predicted: Floats, groups: Groups) -> Influence:
    """Return the headline metric of `task` in each group and its influence function."""
    return _BY_TASK[task](truth, predicted, groups)


def standard_errors(rows: Floats, groups: Groups) -> Floats:
    """Return the standard error of each group's metric from its influence, or of a difference from theirs."""
    sizes = np.maximum(groups.sizes, 1)
    return np.asarray(np.sqrt(np.bincount(groups.codes, rows**2, groups.count)) / sizes)


def _areas(truth: Array, predicted: Floats, groups: Groups) -> Influence:
    """Return the area under each group's ROC curve: the share of its (positive, negative) pairs in the right order."""
    scores = predicted[:, 1]
    by_score = np.argsort(scores, kind="stable")
    # Far quicker than np.lexsort: whole numbers of 16 bits are sorted by their digits.
    order = by_score[np.argsort(groups.codes[by_score].astype(np.uint16), kind="stable")]
    codes, ordered, positive = groups.codes[order], scores[order], (truth[order] == 1)
    positives = np.bincount(groups.codes, truth == 1, groups.count)
    negatives = groups.sizes - positives
    wins = np.where(positive, _beaten(codes, ordered, ~positive), positives[codes] - _beaten(codes, ordered, positive))
    others = np.where(positive, negatives[codes], positives[codes])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = wins / others
        won = np.bincount(codes, np.where(positive, wins, 0.0), groups.count)
        defined = np.minimum(positives, negatives) >= FEWEST_OF_A_CLASS
        values = np.where(defined, won / (positives * negatives), np.nan)
        own = np.where(positive, positives[codes], negatives[codes])
        moved = (shares - values[codes]) * groups.sizes[codes] / own
    rows = np.empty(len(moved))
    rows[order] = np.nan_to_num(moved)
    return Influence(values=values, rows=rows)


def _beaten(codes: NDArray[np.int64], scores: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Return, for rows sorted by group and score, how many counted rows of the group are lower; equal ones are half."""
    starts = np.flatnonzero(np.concatenate([[True], (codes[1:] != codes[:-1]) | (scores[1:] != scores[:-1])]))
    sizes = np.diff(np.append(starts, len(codes)))
    ahead = np.concatenate([[0], np.cumsum(counted)])
    lower, through = ahead[starts], ahead[starts + sizes]
    before_group = ahead[np.searchsorted(codes, codes[starts], "left")]
    return np.repeat((lower + through) / 2 - before_group, sizes)


def _accuracies(truth: Array, predicted: Floats, groups: Groups) -> Influence:
    right = (predicted.argmax(axis=1) == truth).astype(np.float64)
    values = groups.means(right)
    return Influence(values=values, rows=right - values[groups.codes])


def _root_errors(truth: Array, predicted: Floats, groups: Groups) -> Influence:
    squares = (predicted - truth) ** 2
    means = groups.means(squares)
    values = np.sqrt(means)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = (squares - means[groups.codes]) / (2 * values[groups.codes])
    return Influence(values=values, rows=np.nan_to_num(moved))


_BY_TASK: dict[str, Callable[[Array, Floats, Groups], Influence]] = {
    "binary": _areas,
    "multiclass": _accuracies,
    "regression": _root_errors,
}
