"""The target: is it there, what task does it make, can that task be learned."""

import math
from collections.abc import Iterator

import pyarrow as pa

from ropewalk.errors import nearest
from ropewalk.validation.findings import Finding, error, rows, warning
from ropewalk.validation.profile import Profile

BINARY, MULTICLASS, REGRESSION = "binary", "multiclass", "regression"
TASKS = ("auto", BINARY, MULTICLASS, REGRESSION)

_MOST_INTEGER_CLASSES = 20
_MOST_CLASSES = 1000
_FEW_ROWS = 10


def find_target(target: str, columns: list[str]) -> Finding | None:
    """Return the error when `target` names no column, else None."""
    listed = ", ".join(columns[:40]) + (f" and {len(columns) - 40} more" if len(columns) > 40 else "")
    if not target:
        return error("target", "", f"no target is named. Set it to one of the columns: {listed}.")
    if target not in columns:
        return error(
            "target", "", f"there is no column {target!r}.{nearest(target, columns)} The columns are {listed}."
        )
    return None


def infer_task(target: Profile) -> tuple[str, str]:
    """Return the task that the target's values make, and why.

    Two distinct values make a binary task. Otherwise text makes a multiclass task; whole numbers make one when at
    most 20 differ; all other numbers make a regression.
    """
    many = f"it has {target.distinct_text} distinct values"
    if target.distinct == 2:
        return BINARY, "it has two distinct values"
    if not target.is_numeric:
        return MULTICLASS, f"{many}, which are not numbers"
    few = target.distinct <= _MOST_INTEGER_CLASSES
    if few and all(value == round(value) for value in target.counts if math.isfinite(value)):
        return MULTICLASS, f"{many}, all whole numbers"
    return REGRESSION, f"{many}, which are numbers"


def check_target(target: Profile, task: str, *, min_rows: int) -> Iterator[Finding]:
    """Yield why `task` (not "auto") cannot be learned from the target, or what is odd about it."""
    filled, name = target.filled, target.name
    if not target.is_simple:
        return
    if filled == 0:
        yield error("target", name, f"the target {name!r} has no value in any row. Name another column.")
        return
    if target.nulls:
        yield warning("target", name, f"the target {name!r} is missing in {rows(target.nulls)}, which will be dropped.")
    if filled < min_rows:
        yield error(
            "rows",
            "",
            f"only {rows(filled)} with a target, fewer than {min_rows:,}. Get more data, or set "
            "validation.min_rows if so few are meant.",
        )
    if target.distinct == 1:
        only = target.most_frequent(1)[0][0]
        yield error("target", name, f"the target {name!r} is {only!r} in every row: there is nothing to learn.")
    elif pa.types.is_timestamp(target.type):
        yield error("target", name, f"the target {name!r} holds times. Turn it into a number, such as hours.")
    elif task == REGRESSION:
        yield from _check_regression(target)
    else:
        yield from _check_classes(target, task)


def _check_regression(target: Profile) -> Iterator[Finding]:
    if not target.is_numeric:
        examples = ", ".join(repr(value) for value, _ in target.most_frequent(3))
        yield error(
            "task",
            target.name,
            f"the task is regression, but the target {target.name!r} holds {target.type} values such as {examples}, "
            "not numbers. Choose task binary, multiclass or auto, or another target.",
        )


def _check_classes(target: Profile, task: str) -> Iterator[Finding]:
    name, classes = target.name, target.distinct
    if task == BINARY and classes != 2:
        found = ", ".join(repr(value) for value, _ in target.most_frequent(6)) + ", ..." * (classes > 6)
        yield error(
            "task",
            name,
            f"the task is binary, but the target {name!r} has {target.distinct_text} classes: {found}. "
            "Choose task multiclass or auto, or another target.",
        )
    if classes > _MOST_CLASSES:
        yield error(
            "task",
            name,
            f"the target {name!r} has {target.distinct_text} classes, more than {_MOST_CLASSES:,}: is it an "
            "identifier? Group them, choose task regression if they are amounts, or name another target.",
        )
        return
    single = [str(value) for value, count in target.counts.items() if count < 2]
    if single:
        yield error(
            "classes",
            name,
            f"these classes of the target {name!r} have one row only, so that none is left to test on: "
            f"{_some(single)}. Merge them with others, or remove the rows.",
        )
    few = [f"{value} ({rows(count)})" for value, count in target.counts.items() if 2 <= count < _FEW_ROWS]
    if few:
        yield warning("classes", name, f"these classes of the target {name!r} have few rows: {_some(few)}.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
