"""Early stopping by Katib's medianstop (pkg/earlystopping/v1beta1/medianstop): its "median" is a mean."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from ropewalk.tuning.algorithms import read_setting
from ropewalk.tuning.spec import EarlyStopping, Objective


class MedianStop:
    """Judges running trials by the first reports of those that succeeded."""

    def __init__(self, stopping: EarlyStopping, objective: Objective) -> None:
        """Take the settings, by default those of Katib: 3 trials, 4 reports."""
        self._objective = objective
        self._trials = read_setting(stopping.settings, "min_trials_required", 3)
        self._reports = read_setting(stopping.settings, "start_step", 4)

    def limit(self, succeeded: Iterable[Sequence[float]]) -> float | None:
        """Return the mean over trials of the mean of their first reports, None while there are too few trials.

        Args:
            succeeded: The objective's reports of each trial that succeeded.
        """
        firsts = [[value for value in reports[: self._reports] if math.isfinite(value)] for reports in succeeded]
        means = [fmean(values) for values in firsts if values]
        return fmean(means) if len(means) >= self._trials else None

    def is_hopeless(self, reports: Sequence[float], limit: float | None) -> bool:
        """Return whether a running trial's best, once it has reported often enough, is worse than `limit`."""
        if limit is None or len(reports) < self._reports:
            return False
        finite = [value for value in reports if math.isfinite(value)]
        if not finite:
            return True
        best = min(finite) if self._objective.type == "minimize" else max(finite)
        return self._objective.better(limit, best)
