"""Progress lines: what a step tells a person while it works."""

import sys


def say(text: str) -> None:
    """Write one line to standard output at once, so that it shows in a pod's log while the step runs."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
