"""Trains as often as the plan says, dying by SIGKILL each time, then once to the end.

Run as `python deaths.py FOLDER MODEL CONFIG PLAN`, the last two as JSON; CONFIG may have `epochs` (else 6) besides the
settings. A death is ["after", seconds] from the start of training, or ["write", number]: at the so-manieth time that a
file is made durable or renamed. Prints a line per attempt. Attempts are forked, so that torch is loaded once.
"""

import functools
import importlib
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ropewalk.training.config import TrainingConfig
from ropewalk.training.train import train


def main(folder: str, model: str, config: str, plan: str) -> None:
    """Run the plan."""
    settings = json.loads(config)
    epochs = settings.pop("epochs", 6)
    if settings.get("architecture") == "gbdt":
        importlib.import_module("ropewalk.training.boosting")
    fit = functools.partial(
        train,
        Path(folder) / "train",
        validation=Path(folder) / "validation",
        preprocessor=Path(folder) / "preprocessor",
        model=Path(model),
        epochs=epochs,
        config=TrainingConfig(**settings),
    )
    for kind, value in [*json.loads(plan), ("never", 0)]:
        child = os.fork()
        if child == 0:
            _prepare_death(kind, value)
            fit()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{kind} killed={os.WIFSIGNALED(status)} code={os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _prepare_death(kind: str, value: float) -> None:
    if kind == "after":
        threading.Timer(value, _die).start()
    elif kind == "write":
        left = itertools.count(1)
        for name in ("fsync", "replace"):
            setattr(os, name, _dying(getattr(os, name), left, int(value)))


def _dying(call: Callable[..., Any], numbers: "itertools.count[int]", last: int) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> Any:
        if next(numbers) == last:
            _die()
        return call(*arguments)

    return wrapped


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
