"""Keeps the page of training curves, whether training ends well or fails after an epoch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ropewalk.training.metrics import SCORES


@contextmanager
def keeping_curves(path: Path | None, history: Sequence[dict[str, Any]], *, target: str, task: str) -> Iterator[None]:
    """Write the page of `history` to `path` when the block ends, also by an error; absent, or without epochs: none."""
    failure = ""
    try:
        yield
    except Exception as error:
        failure = str(error)
        raise
    finally:
        if path is not None and history:
            write_curves(path, history, target=target, task=task, failure=failure)


def write_curves(path: Path, history: Sequence[dict[str, Any]], *, target: str, task: str, failure: str = "") -> None:
    """Write the page of `history`, which has an epoch at least, to `path`."""
    # Loads matplotlib, which takes half a second.
    from ropewalk.report.page import write_page
    from ropewalk.training.curves import curves_page

    score = f"validation_{SCORES[task]}"
    write_page(path, curves_page(history, title=f"Predicting {target}", score=score, task=task, failure=failure))
