"""Targets: how a regression target is scaled, so that losses and learning rates fit any unit."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """What is subtracted from a target and what it is divided by; 0 and 1 for classes."""

    center: float
    """In the target's unit."""
    scale: float
    """In the target's unit, above 0."""

    def apply(self, target: np.ndarray) -> np.ndarray:
        """Return the scaled target; class indices come back as they are."""
        return target if (self.center, self.scale) == (0.0, 1.0) else (target - self.center) / self.scale


def scaling_of(chunks: Iterable[np.ndarray], task: str) -> Scaling:
    """Return the mean and standard deviation (1 where it is 0) of a regression target, else 0 and 1.

    Merged over chunks after Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance" (1983).
    """
    count, mean, squares = 0, 0.0, 0.0
    for values in chunks:
        if task != "regression" or not len(values):
            continue
        step = float(values.mean()) - mean
        squares += float(values.var()) * len(values) + step**2 * count * len(values) / (count + len(values))
        count += len(values)
        mean += step * len(values) / count
    scale = math.sqrt(squares / count) if count else 0.0
    return Scaling(mean, scale or 1.0)
