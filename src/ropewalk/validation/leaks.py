"""Leaks: features that give the target away, and rows that are there twice."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ropewalk.fingerprints import FingerprintSet
from ropewalk.validation.findings import Finding, rows, warning
from ropewalk.validation.profile import Profile
from ropewalk.validation.target import BINARY, REGRESSION

_ROWS_PER_VALUE = 10
_CORRELATION = 0.99999
_FEW_ROWS = 30


def check_leaks(features: list[Profile], target: Profile, task: str) -> Iterator[Finding]:
    """Yield a warning for each feature from which the target can be read off.

    Those are: the same values; categories of which each goes with one class only; for two classes, a number that
    one threshold splits perfectly; for a regression, a number that is a straight line of the target.
    """
    where = f" (seen in {rows(len(target.values))} spread over the table)" if target.is_sampled else ""
    for feature in features:
        if feature.is_simple and feature.distinct > 1:
            how = _how(feature, target, task)
            if how:
                yield warning(
                    "leak",
                    feature.name,
                    f"the column {feature.name!r} gives the target {target.name!r} away: {how}{where}. If it is not "
                    "known before the outcome, remove it or name it in preprocess.ignore.",
                )


def _how(feature: Profile, target: Profile, task: str) -> str:
    if feature.type == target.type and feature.values.equals(target.values):
        return "both hold the same values"
    both = (feature.codes >= 0) & (target.codes >= 0)
    if both.sum() < _FEW_ROWS:
        return ""
    if task == REGRESSION:
        return _straight_line(feature, target, both)
    if feature.is_numeric and task == BINARY and _splits(feature, target, both):
        return "one threshold splits the two classes without an error"
    if _determines(feature, target, both):
        return "each of its values goes with one class only"
    return ""


def _straight_line(feature: Profile, target: Profile, both: NDArray[np.bool_]) -> str:
    if not (feature.is_numeric and target.is_numeric):
        return ""
    x, y = _numbers(feature)[both], _numbers(target)[both]
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if len(x) < _FEW_ROWS or x.min() == x.max() or y.min() == y.max():
        return ""
    correlation = float(np.corrcoef(x, y)[0, 1])
    return f"their correlation is {correlation:.6f}" if abs(correlation) > _CORRELATION else ""


def _splits(feature: Profile, target: Profile, both: NDArray[np.bool_]) -> bool:
    numbers = _numbers(feature)
    first, second = numbers[both & (target.codes == 0)], numbers[both & (target.codes == 1)]
    if min(len(first), len(second)) == 0:
        return False
    return bool(first.max() < second.min() or second.max() < first.min())


def _determines(feature: Profile, target: Profile, both: NDArray[np.bool_]) -> bool:
    values = np.count_nonzero(np.bincount(feature.codes[both]))
    classes = np.count_nonzero(np.bincount(target.codes[both]))
    if classes < 2 or both.sum() < _ROWS_PER_VALUE * values:
        return False
    pairs = np.sort(feature.codes[both].astype(np.int64) * len(target.dictionary) + target.codes[both])
    return bool(1 + np.count_nonzero(np.diff(pairs)) == values)


def _numbers(column: Profile) -> NDArray[np.float64]:
    numbers = column.values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float64)


def check_duplicates(fingerprints: FingerprintSet) -> Iterator[Finding]:
    """Yield a warning when rows are equal in every column; the fingerprints are those of all rows."""
    copies = fingerprints.repeats() * fingerprints.one_in
    if copies:
        about = "about " if fingerprints.one_in > 1 else ""
        yield warning(
            "duplicates",
            "",
            f"{about}{rows(copies)} repeat earlier ones in every column. They weigh double; remove them if they came "
            "about by mistake.",
        )
