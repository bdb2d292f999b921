"""What a model is compared with: always the same answer, and gradient boosting as it comes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ropewalk.evaluation.metrics import Array, Floats
from ropewalk.preprocess.columns import CATEGORICAL, DATETIME, HASHED, Column, as_categories, as_numbers, plain

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

_MOST_CATEGORIES = 255
"""Most distinct values that scikit-learn's histogram gradient boosting takes as a category."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A baseline's predictions for the test rows."""

    predicted: Floats
    """Probabilities (rows, classes), or numbers (rows,)."""
    rows: int
    """Training rows that it was fitted on."""
    seconds: float
    """Time of preparing the columns, fitting and predicting."""


def trivial(truth: Array, *, classes: Sequence[str], test_rows: int) -> Baseline:
    """Return the predictions that ignore every column: the training rows' class shares, or their mean."""
    if not classes:
        return Baseline(predicted=np.full(test_rows, np.mean(truth)), rows=len(truth), seconds=0.0)
    shares = np.bincount(truth.astype(np.int64), minlength=len(classes)) / len(truth)
    return Baseline(predicted=np.tile(shares, (test_rows, 1)), rows=len(truth), seconds=0.0)


def gradient_boosting(
    train: pa.Table,
    truth: Array,
    test: pa.Table,
    *,
    columns: Sequence[Column],
    classes: Sequence[str],
    most_rows: int,
    seed: int,
) -> Baseline:
    """Return the predictions of scikit-learn's HistGradientBoosting with default settings.

    It gets the columns that the model gets: numbers and missing values as they are, times as numbers,
    categories as categories. Columns of more than 255 categories, which it cannot take as such, enter as
    ordinal numbers. A category that no training row has counts as missing.

    Args:
        train: Training rows.
        truth: Their target: class indices or numbers.
        test: Rows to predict.
        columns: The columns that the model uses.
        classes: Class names; none for regression.
        most_rows: Training rows to fit on, drawn at random when there are more.
        seed: Seed of the draw and of the estimator.
    """
    started = time.perf_counter()
    chosen = _fitting_rows(truth, most_rows, seed, bool(classes))
    train, truth = train.take(chosen), truth[chosen]
    encoded = [_encode(column, train[column.name], test[column.name]) for column in columns]
    fit_on, predict_on = (np.column_stack([pair[side] for pair in encoded]) for side in (0, 1))
    categorical = [
        place
        for place, column in enumerate(columns)
        if column.role in (CATEGORICAL, HASHED) and np.nanmax(fit_on[:, place], initial=0) < _MOST_CATEGORIES
    ]
    # Imported late: it takes half a second, and the model itself is scored before.
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    estimator = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    fitted = estimator(categorical_features=categorical, random_state=seed).fit(fit_on, truth)
    predicted = _probabilities(fitted, predict_on, len(classes)) if classes else fitted.predict(predict_on)
    return Baseline(predicted=predicted, rows=len(truth), seconds=time.perf_counter() - started)


def _fitting_rows(truth: Array, most_rows: int, seed: int, classification: bool) -> NDArray[np.int64]:
    rows = np.arange(len(truth))
    if len(rows) > most_rows:
        rows = np.sort(np.random.default_rng(seed).choice(rows, size=most_rows, replace=False))
    if not classification:
        return rows
    # The estimator splits off rows for early stopping by class, which fails for a class with one row.
    counts = np.bincount(truth[rows].astype(np.int64))
    return rows[counts[truth[rows].astype(np.int64)] > 1]


def _encode(column: Column, train: pa.ChunkedArray, test: pa.ChunkedArray) -> tuple[Floats, Floats]:
    train, test = plain(train.combine_chunks()), plain(test.combine_chunks())
    if column.role in (CATEGORICAL, HASHED):
        train, test = as_categories(train), as_categories(test)
        known = train.unique().drop_null().sort()
        return _floats(pc.index_in(train, value_set=known)), _floats(pc.index_in(test, value_set=known))
    if column.role == DATETIME:
        return _floats(_moments(train)), _floats(_moments(test))
    return _floats(as_numbers(train)), _floats(as_numbers(test))


def _moments(values: pa.Array) -> pa.Array:
    return values.cast(pa.timestamp("us"), safe=False).cast(pa.int64())


def _floats(values: pa.Array) -> Floats:
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _probabilities(fitted: "HistGradientBoostingClassifier", rows: Floats, classes: int) -> Floats:
    probabilities = np.zeros((len(rows), classes))
    probabilities[:, fitted.classes_] = fitted.predict_proba(rows)
    return probabilities
