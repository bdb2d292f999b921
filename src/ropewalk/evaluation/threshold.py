"""From which probability on a row should count as positive: by what mistakes cost, or by what is to be reached.

The threshold is chosen on the test rows. To keep its scores honest they are crossed: each half of the rows is judged by
the threshold that the other half chose.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ropewalk.evaluation.intervals import interval
from ropewalk.evaluation.scorers import Array, Floats

COSTS = ("false_positive", "false_negative")
TARGETS = ("precision", "recall")


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A threshold and what it gives."""

    threshold: float
    """Rows count as positive from it on; chosen on all test rows."""
    reached: bool
    """Whether the precision or recall asked for can be had; True for costs."""
    confusion: list[list[int]]
    """Rows of each true class (negative, positive) by what they were judged to be."""
    scores: dict[str, tuple[float, float, float]]
    """Value and 95 % interval of precision, recall and (with costs) cost_per_row."""


def operating_point(
    truth: Array, scores: Floats, wanted: Mapping[str, float], *, resamples: int, seed: int
) -> OperatingPoint:
    """Return the threshold that serves `wanted` best, and its crossed scores.

    Args:
        truth: 0 or 1 per row, both present.
        scores: Probability of the positive class.
        wanted: Costs {"false_positive": 1, "false_negative": 5}: least cost. {"precision": 0.9}: the highest recall at
            that precision or more. {"recall": 0.9}: the highest precision at that recall or more.
        resamples: Bootstrap draws of the intervals.
        seed: Seed of the halves and the draws.
    """
    random = np.random.default_rng(seed)
    first = np.zeros(len(truth), dtype=bool)
    first[random.permutation(len(truth))[: len(truth) // 2]] = True
    threshold, reached = _best(truth, scores, wanted)
    chosen = np.zeros(len(truth), dtype=bool)
    for half in (first, ~first):
        chosen[half] = scores[half] >= _best(truth[~half], scores[~half], wanted)[0]
    cells = np.bincount(2 * (truth == 1) + chosen, minlength=4)
    draws = random.multinomial(len(truth), cells / len(truth), size=resamples)
    found = _rates(cells[np.newaxis], wanted)
    spread = _rates(draws, wanted)
    return OperatingPoint(
        threshold=threshold,
        reached=reached,
        confusion=cells.reshape(2, 2).tolist(),
        scores={name: (float(found[name][0]), *interval(spread[name])) for name in found},
    )


def _best(truth: Array, scores: Floats, wanted: Mapping[str, float]) -> tuple[float, bool]:
    """Return the best threshold, and whether it gives what is asked for."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits = np.cumsum(truth[order] == 1)[ends]
    chosen = ends + 1
    positives = max(int(np.sum(truth == 1)), 1)
    if "precision" in wanted:
        precise = hits / chosen >= wanted["precision"]
        place = int(np.flatnonzero(precise)[-1]) if precise.any() else int(np.argmax(hits / chosen))
        return float(ordered[ends[place]]), bool(precise.any())
    if "recall" in wanted:
        return float(ordered[ends[int(np.argmax(hits / positives >= wanted["recall"]))]]), True
    # Nobody is chosen above the highest score: that is an answer too when false alarms are dear.
    costs = wanted["false_positive"] * (chosen - hits) + wanted["false_negative"] * (positives - hits)
    nobody = wanted["false_negative"] * positives
    place = int(np.argmin(costs))
    return (float(np.nextafter(ordered[0], 2)) if nobody < costs[place] else float(ordered[ends[place]])), True


def _rates(cells: NDArray[np.int64], wanted: Mapping[str, float]) -> dict[str, Floats]:
    """Return the rates of each row of `cells`: true negatives, false positives, false negatives, true positives."""
    _, false, missed, hits = cells.T.astype(np.float64)
    found = {"precision": hits / np.maximum(hits + false, 1), "recall": hits / np.maximum(hits + missed, 1)}
    if set(COSTS) <= set(wanted):
        cost = wanted["false_positive"] * false + wanted["false_negative"] * missed
        found["cost_per_row"] = cost / cells.sum(axis=1)
    return found
