"""Whether probabilities can be taken at their word, in one number."""

import numpy as np

from ropewalk.evaluation.scorers import Array, Floats

BINS = 10
_DRAWS = 1000


def calibration_bins(scores: Floats) -> np.ndarray:
    """Return the bin of each score, of up to 10 bins of equally many rows."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)))
    return np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, max(len(edges) - 2, 0))


def calibration_error(truth: Array, scores: Floats, *, seed: int) -> tuple[float, float]:
    """Return the expected calibration error, and what a model whose probabilities are true stays below 19 times of 20.

    It is the mean distance of predicted from observed share over 10 bins of equally many rows (Naeini, Cooper and
    Hauskrecht 2015, AAAI). It is above 0 by chance alone; the second number says how far, with these rows.

    Args:
        truth: 1 where what was predicted came true, else 0.
        scores: Its probability.
        seed: Seed of the chance.
    """
    bins = calibration_bins(scores)
    gaps = np.bincount(bins, scores - truth)
    # A bin's sum of many independent outcomes is as good as normal.
    spread = np.sqrt(np.bincount(bins, scores * (1 - scores)))
    by_chance = np.abs(np.random.default_rng(seed).normal(size=(_DRAWS, len(spread))) * spread).sum(axis=1)
    return float(np.abs(gaps).sum() / len(scores)), float(np.quantile(by_chance, 0.95) / len(scores))
