"""How sure a score is: percentile bootstrap over test rows, and Wilson's interval for shares.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. Models are resampled with the
same rows, so the interval of their difference is that of a paired comparison.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ropewalk.evaluation.metrics import Array, Floats

_MOST_WORK = 50_000_000
_FEWEST_DRAWS = 100
_Z95 = 1.959964


def headline_draws(task: str, truth: Array, predictions: Sequence[Floats], *, resamples: int, seed: int) -> Floats:
    """Return the headline metric of each model in each bootstrap draw, (draws, models).

    ROC AUC is resampled within each class (as pROC does: Robin et al. 2011, BMC Bioinformatics 12:77), so
    every draw has both. There are `resamples` draws, or as many as keep the work in bounds with many rows.
    """
    draws = int(np.clip(_MOST_WORK // len(truth), _FEWEST_DRAWS, resamples))
    random = np.random.default_rng(seed)
    return _RESAMPLERS[task](truth, predictions, draws, random)


def interval(draws: Floats) -> tuple[float, float]:
    """Return the bounds that hold the middle 95 % of `draws`."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def wilson(share: Floats, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the bounds of Wilson's 95 % score interval of shares out of `rows` (Wilson 1927, JASA 22:209).

    Unlike the bootstrap's, it has a width also where the share is 0 or 1.
    """
    center = (share + _Z95**2 / (2 * rows)) / (1 + _Z95**2 / rows)
    reach = _Z95 * np.sqrt(share * (1 - share) / rows + (_Z95 / (2 * rows)) ** 2) / (1 + _Z95**2 / rows)
    return np.clip(center - reach, 0, 1), np.clip(center + reach, 0, 1)


def _areas(truth: Array, predictions: Sequence[Floats], draws: int, random: Generator) -> Floats:
    positives, negatives = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    ranks = [np.unique(each[:, 1], return_inverse=True)[1] for each in predictions]
    found = np.empty((draws, len(predictions)))
    for draw in range(draws):
        drawn_positives = positives[random.integers(len(positives), size=len(positives))]
        drawn_negatives = negatives[random.integers(len(negatives), size=len(negatives))]
        for model, rank in enumerate(ranks):
            found[draw, model] = _area(rank[drawn_positives], rank[drawn_negatives], int(rank.max()) + 1)
    return found


def _area(positives: NDArray[np.int64], negatives: NDArray[np.int64], ranks: int) -> float:
    """Return the share of (positive, negative) pairs in the right order; a tie counts half."""
    below = np.bincount(negatives, minlength=ranks)
    lower = np.cumsum(below) - 0.5 * below
    return float(lower[positives].mean() / len(negatives))


def _accuracies(truth: Array, predictions: Sequence[Floats], draws: int, random: Generator) -> Floats:
    """Draw how often each pattern of right and wrong answers occurs: the same as drawing rows, but quick."""
    right = np.stack([each.argmax(axis=1) == truth for each in predictions], axis=1)
    patterns, counts = np.unique(right, axis=0, return_counts=True)
    drawn = random.multinomial(len(truth), counts / len(truth), size=draws)
    return np.asarray(drawn @ patterns / len(truth), dtype=np.float64)


def _errors(truth: Array, predictions: Sequence[Floats], draws: int, random: Generator) -> Floats:
    squares = np.stack([(each - truth) ** 2 for each in predictions], axis=1)
    means = [squares[random.integers(len(truth), size=len(truth))].mean(axis=0) for _ in range(draws)]
    return np.asarray(np.sqrt(means))


_RESAMPLERS = {"binary": _areas, "multiclass": _accuracies, "regression": _errors}
