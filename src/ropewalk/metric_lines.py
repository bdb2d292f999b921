"""What a trial prints so that a tuner reads its metrics; standard library only: any training script can afford it."""

import math
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ropewalk.errors import TrainingError

TRIAL = "KATIB_TRIAL_NAME"
"""Variable that Katib, and Ropewalk's own engine, set in a trial: its name."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_REPORTED = ("train_", "validation_")


def report(**metrics: float) -> None:
    """Print one line per metric as Katib's default filter reads it: `2026-01-31T12:00:00.000000Z loss=0.25`.

    Args:
        metrics: Finite numbers by name; names of letters, digits, _ and - (pass `**{"val-loss": 0.3}` for a dash).

    Raises:
        TrainingError: A value is NaN or infinite, which Katib would take for the best, or a name is none.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lines = []
    for name, value in metrics.items():
        number = float(value)
        if not _NAME.fullmatch(name):
            raise TrainingError(f"A metric cannot be called {name!r}: use letters, digits, _ and -.")
        if not math.isfinite(number):
            raise TrainingError(f"{name} is {number}: training has diverged. Lower the learning rate, or bound it.")
        lines.append(f"{now} {name}={number!r}\n")
    sys.stdout.write("".join(lines))
    sys.stdout.flush()


def report_to_tuner(entry: Mapping[str, Any]) -> None:
    """Report the losses and scores (train_*, validation_*) of a model, when this process is a trial; else do nothing.

    A value that is no finite number is left out: a trial without the objective's value is never the best.
    """
    if TRIAL not in os.environ:
        return
    numbers = {name: value for name, value in entry.items() if name.startswith(_REPORTED)}
    report(**{name: value for name, value in numbers.items() if isinstance(value, float) and math.isfinite(value)})
