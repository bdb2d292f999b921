"""How sure a score is: percentile bootstrap over test rows, and Wilson's interval for shares.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. How often a row is drawn is Poisson(1)
distributed and independent of the others (Hanley and MacGibbon 2006, Computer Methods and Programs in Biomedicine
83:57), which needs no index lists. Models are resampled with the same rows, so the interval of their difference is
that of a paired comparison. Draws that lack a class are left out.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import exp, factorial

import numpy as np
from numpy.random import SFC64, SeedSequence
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ropewalk.evaluation.scorers import SCORERS, Array, Floats, Weights

FEWEST_DRAWS = 200
_MOST_WORK = 4_000_000_000
"""Rows times orders times draws: about a minute of a core."""
_BLOCK_BYTES = 1 << 22
_CHUNK = 1 << 17
"""Counts that are looked up at a time, so that they stay in the processor's cache."""
_Z95 = 1.959964
_LEVELS = 1 << 16
_CHANCES = np.cumsum([exp(-1) / factorial(count) for count in range(9)])
_COUNTS = np.searchsorted(_CHANCES, (np.arange(_LEVELS) + 0.5) / _LEVELS).astype(np.uint8)
"""Poisson(1) counts of 65,536 equally likely levels: 16 random bits make one."""


def bootstrap(
    task: str, truth: Array, predictions: Sequence[Floats], *, resamples: int, seed: int
) -> dict[str, Floats]:
    """Return every metric of each model in each bootstrap draw, (draws, models) per metric.

    There are `resamples` draws, or as many (at least 200) as keep the work in bounds: fewer only above four million
    rows of two classes for one model, or proportionally less for more models and classes. The same seed gives the same
    draws, however many cores there are.
    """
    scorers = [SCORERS[task](truth, predicted) for predicted in predictions]
    orders = sum(predicted.shape[1] if task == "multiclass" else 1 for predicted in predictions)
    draws = min(resamples, max(FEWEST_DRAWS, _MOST_WORK // (len(truth) * orders)))
    block = max(1, min(_BLOCK_BYTES // len(truth), 250))

    def drawn(first: int) -> list[dict[str, Floats]]:
        weights = poisson_counts(min(block, draws - first), len(truth), seed=(seed, first))
        return [scorer.scores(weights) for scorer in scorers]

    # The threads are enough: BLAS would start as many again in each, which then wait for one another.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = list(pool.map(drawn, range(0, draws, block)))
    return {
        name: np.concatenate([np.stack([scores[name] for scores in part], axis=1) for part in found])
        for name in found[0][0]
    }


def poisson_counts(draws: int, rows: int, *, seed: tuple[int, ...]) -> Weights:
    """Return how often each row is in each draw, (draws, rows): independent Poisson(1) counts."""
    levels = SFC64(SeedSequence(seed)).random_raw(-(-draws * rows // 4)).view(np.uint16)[: draws * rows]
    counts = np.empty(draws * rows, dtype=np.uint8)
    for first in range(0, len(counts), _CHUNK):
        part = slice(first, first + _CHUNK)
        _COUNTS.take(levels[part], out=counts[part], mode="clip")
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
