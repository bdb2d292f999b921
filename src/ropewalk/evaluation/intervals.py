"""How sure a score is: percentile bootstrap over test rows, and Wilson's interval for shares.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. How often a row is drawn is independent of
the others, which needs no index lists, and distributed as nearly as 8 random bits allow like Poisson(1) (Hanley and
MacGibbon 2006, Computer Methods and Programs in Biomedicine 83:57). Any counts with mean and variance 1, as these have
exactly, give valid intervals (Praestgaard and Wellner 1993, Annals of Probability 21:2053).
Models are resampled with the same rows, so the interval of their difference is
that of a paired comparison. Draws that lack a class are left out.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.random import SFC64, SeedSequence
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ropewalk.evaluation.scorers import SCORERS, Array, Floats, RegressionScorer, Weights

FEWEST_DRAWS = 200
_MOST_WORK = 4_000_000_000
"""Rows times orders times draws: about a minute of a core."""
_BLOCK_BYTES = 1 << 22
_CHUNK = 1 << 18
"""Counts that are made at a time, so that they stay in the processor's cache."""
_Z95 = 1.959964
_FIRST_LEVELS = (94, 189, 235, 251, 255)
"""Of 256 equally likely levels, the first that counts 1, 2, 3, 4 and 5: mean and variance 1, third moment 4.98 of 5."""


def bootstrap(
    task: str, truth: Array, predictions: Sequence[Floats], *, resamples: int, seed: int
) -> dict[str, Floats]:
    """Return every metric of each model in each bootstrap draw, (draws, models) per metric.

    There are `resamples` draws, or as many (at least 200) as keep the work in bounds: fewer only above four million
    rows of two classes for one model, or proportionally less for more models and classes. The same seed gives the same
    draws, however many cores there are.
    """
    if task == "regression":
        # Rows are drawn alike, whatever their order, and in this one the first model's medians are found soonest.
        order = RegressionScorer.best_order(truth, predictions[0])
        truth, predictions = truth[order], [predicted[order] for predicted in predictions]
    scorers = [SCORERS[task](truth, predicted) for predicted in predictions]
    orders = sum(predicted.shape[1] if task == "multiclass" else 1 for predicted in predictions)
    draws = min(resamples, max(FEWEST_DRAWS, _MOST_WORK // (len(truth) * orders)))
    block = max(1, min(_BLOCK_BYTES // len(truth), 250))

    def drawn(first: int) -> list[dict[str, Floats]]:
        weights = draw_counts(min(block, draws - first), len(truth), seed=(seed, first))
        return [scorer.scores(weights) for scorer in scorers]

    # The threads are enough: BLAS would start as many again in each, which then wait for one another.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = list(pool.map(drawn, range(0, draws, block)))
    return {
        name: np.concatenate([np.stack([scores[name] for scores in part], axis=1) for part in found])
        for name in found[0][0]
    }


def draw_counts(draws: int, rows: int, *, seed: tuple[int, ...]) -> Weights:
    """Return how often each row is in each draw, (draws, rows): independent counts of 0 to 5."""
    bits = SFC64(SeedSequence(seed))
    counts = np.empty(draws * rows, dtype=np.uint8)
    reached = np.empty(_CHUNK, dtype=np.bool_)
    for first in range(0, len(counts), _CHUNK):
        some = counts[first : first + _CHUNK]
        levels = bits.random_raw(_CHUNK // 8).view(np.uint8)[: len(some)]
        # Comparing bytes is several times as fast as looking each of them up in a table.
        np.greater_equal(levels, _FIRST_LEVELS[0], out=some.view(np.bool_))
        for level in _FIRST_LEVELS[1:]:
            np.greater_equal(levels, level, out=reached[: len(levels)])
            some += reached[: len(levels)].view(np.uint8)
    return counts.reshape(draws, rows)


def interval(draws: Floats) -> tuple[float, float]:
    """Return the bounds that hold the middle 95 % of `draws`, NaN aside.

    By Weibull's positions: numpy's usual ones leave 2.8 instead of 2.5 % outside at either end of 300 draws.
    """
    low, high = np.nanquantile(draws, [0.025, 0.975], method="weibull")
    return float(low), float(high)


def wilson(share: Floats, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the bounds of Wilson's 95 % score interval of shares out of `rows` (Wilson 1927, JASA 22:209).

    Unlike the bootstrap's, it has a width also where the share is 0 or 1.
    """
    center = (share + _Z95**2 / (2 * rows)) / (1 + _Z95**2 / rows)
    reach = _Z95 * np.sqrt(share * (1 - share) / rows + (_Z95 / (2 * rows)) ** 2) / (1 + _Z95**2 / rows)
    return np.clip(center - reach, 0, 1), np.clip(center + reach, 0, 1)
