"""What a trial calls to report its metrics; standard library only, so that any training script can afford it."""

import math
import re
import sys
from datetime import UTC, datetime

from ropewalk.errors import TrainingError

_NAME = re.compile(r"[A-Za-z0-9_-]+")


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
