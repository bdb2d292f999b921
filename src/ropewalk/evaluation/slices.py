"""How good a model is in parts of the test rows: each category and each range of numbers of every column it reads."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ropewalk.evaluation.catalog import gain, headline
from ropewalk.evaluation.influence import Groups, Influence, influence, standard_errors
from ropewalk.evaluation.intervals import wilson
from ropewalk.evaluation.scorers import Array, Floats
from ropewalk.preprocess.columns import DATETIME, NUMERIC, Column, as_names, as_numbers, plain
from ropewalk.report.format import number

_MOST_CATEGORIES = 20
_RANGES = 5
_Z95 = 1.959964
MISSING = "missing"
OTHERS = "all others"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One part of the test rows and the headline metric there."""

    column: str
    part: str
    """The category, the range, "missing" or "all others"."""
    rows: int
    value: float
    low: float
    """The value's 95 % interval."""
    high: float
    champion: float | None = None
    """The champion's value on the same rows."""
    gain: float | None = None
    """By how much the model is better than the champion there; negative: worse."""
    gain_error: float | None = None
    """Standard error of the gain, of a paired comparison."""


def slices(
    task: str,
    truth: Array,
    predicted: Floats,
    champion: Floats | None,
    *,
    table: pa.Table,
    columns: Sequence[Column],
    fewest_rows: int,
) -> list[Slice]:
    """Return the parts of the test rows by `columns`, worst first.

    Numbers and times are cut at their quintiles; of categories the 20 most frequent stand alone. Parts with fewer than
    `fewest_rows` rows, or (for ROC AUC) fewer than 10 of a class, are left out: what they show would be chance.
    """
    found: list[Slice] = []
    for column in columns:
        codes, names = parts(column, table[column.name])
        groups = Groups(codes=codes, count=len(names))
        found += _of_column(task, truth, predicted, champion, column.name, names, groups)
    best = headline(task)
    kept = [each for each in found if each.rows >= fewest_rows and np.isfinite(each.value)]
    return sorted(kept, key=lambda each: (gain(best, each.value, 0.0), each.column, each.part))


def parts(column: Column, values: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Return the part of each row, and the parts' names."""
    cells = plain(values.combine_chunks())
    if column.role == DATETIME:
        return _ranges(cells.cast(pa.timestamp("us"), safe=False).cast(pa.int64()), times=True)
    if column.role == NUMERIC and len(pc.unique(cells)) > _RANGES:
        return _ranges(as_numbers(cells), times=False)
    return _categories(as_names(cells))


def _categories(cells: pa.Array) -> tuple[NDArray[np.int64], list[str]]:
    coded = cells.dictionary_encode()
    counts = np.bincount(coded.indices.drop_null().to_numpy(), minlength=len(coded.dictionary))
    frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
    names = [*(coded.dictionary[int(place)].as_py() for place in frequent), OTHERS, MISSING]
    new = np.full(len(counts) + 1, len(frequent))
    new[frequent] = np.arange(len(frequent))
    new[-1] = len(frequent) + 1
    return new[coded.indices.fill_null(len(counts)).to_numpy()], names


def _ranges(cells: pa.Array, *, times: bool) -> tuple[NDArray[np.int64], list[str]]:
    known = np.asarray(cells.drop_null().to_numpy(), dtype=np.float64)
    if not len(known):
        return np.zeros(len(cells), dtype=np.int64), [MISSING]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _RANGES + 1)))
    bounds = edges[1:-1]
    filled = np.asarray(cells.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.float64)
    codes = np.searchsorted(bounds, filled, "left")
    codes[cells.is_null().to_numpy(zero_copy_only=False)] = len(bounds) + 1
    shown = [_moment(edge) if times else number(float(edge)) for edge in edges]
    names = [f"up to {shown[1]}"] if len(edges) > 1 else [shown[0]]
    names += [f"{low} to {high}" for low, high in itertools.pairwise(shown[1:-1])]
    if len(edges) > 2:
        names.append(f"above {shown[-2]}")
    return codes.astype(np.int64), [*names, MISSING]


def _moment(microseconds: float) -> str:
    return str(np.datetime64(int(microseconds), "us").astype("datetime64[m]")).replace("T", " ")


def _of_column(
    task: str,
    truth: Array,
    predicted: Floats,
    champion: Floats | None,
    column: str,
    names: list[str],
    groups: Groups,
) -> list[Slice]:
    own = influence(task, truth, predicted, groups)
    lows, highs = _intervals(task, own.values, standard_errors(own.rows, groups), groups)
    compared = [{} for _ in names] if champion is None else _compared(task, truth, champion, own, groups)
    columns = zip(names, groups.sizes.tolist(), own.values.tolist(), lows, highs, compared, strict=True)
    return [
        Slice(column=column, part=name, rows=rows, value=value, low=low, high=high, **more)
        for name, rows, value, low, high, more in columns
    ]


def _compared(task: str, truth: Array, champion: Floats, own: Influence, groups: Groups) -> list[dict[str, float]]:
    """Return the fields of each slice that tell how the champion does there."""
    other = influence(task, truth, champion, groups)
    errors = standard_errors(own.rows - other.rows, groups)
    best = headline(task)
    return [
        {"champion": theirs, "gain": gain(best, value, theirs), "gain_error": error}
        for value, theirs, error in zip(own.values.tolist(), other.values.tolist(), errors.tolist(), strict=True)
    ]


def _intervals(task: str, values: Floats, errors: Floats, groups: Groups) -> tuple[list[float], list[float]]:
    if task == "multiclass":
        low, high = wilson(values, np.maximum(groups.sizes, 1))
    else:
        low, high = np.maximum(values - _Z95 * errors, 0), values + _Z95 * errors
    if task == "binary":
        high = np.minimum(high, 1)
    return [float(each) for each in low], [float(each) for each in high]
