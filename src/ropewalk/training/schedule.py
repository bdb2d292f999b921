"""How many rows a step has, how many epochs a table calls for, and the learning rate over the steps."""

import math

from ropewalk.training.config import TrainingConfig

_AIM_STEPS = 3600
_EPOCHS = (8, 125)


def batch_size_for(rows: int, config: TrainingConfig) -> int:
    """Return the rows per step: as configured, or 1,024, less on small tables so that an epoch has 16 steps or more."""
    return min(config.batch_size or max(16, min(1024, rows // 16)), rows)


def epochs_for(rows: int, batch_size: int) -> int:
    """Return how many epochs a table of this size calls for: about 3,600 steps in all, 8 to 125 epochs."""
    least, most = _EPOCHS
    return max(least, min(most, math.ceil(_AIM_STEPS * batch_size / rows)))


def rate(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak learning rate at `step` (from 0) of `steps`: a linear rise, then half a cosine."""
    warm = max(1, round(steps * warmup))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
