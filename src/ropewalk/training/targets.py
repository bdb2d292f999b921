"""Targets: how a regression target is scaled, so that losses and learning rates fit any unit."""

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


def scaling_of(target: np.ndarray, task: str) -> Scaling:
    """Return the mean and standard deviation (1 where it is 0) of a regression target, else 0 and 1."""
    if task != "regression":
        return Scaling(0.0, 1.0)
    return Scaling(float(target.mean()), float(target.std()) or 1.0)
