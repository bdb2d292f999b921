"""Frames: raw rows from a pandas caller to Arrow, and a model's scores back to pandas."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ropewalk.errors import DataError
from ropewalk.preprocess.columns import DATETIME, NUMERIC, Column
from ropewalk.training.model import TrainedModel

_TRUTH = {"True": "true", "1": "true", "False": "false", "0": "false"}


def predict_frame(model: TrainedModel, rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per row of `rows`, under the same index.

    Classification gives `prediction` and one `probability_<class>` per class; regression gives `prediction`.

    Raises:
        DataError: A column is missing, or holds values that cannot be read as in training.
    """
    scores = model.predict(to_table(rows, model.preprocessor.takes))
    names = output_names(model.classes)
    if model.task == "regression":
        return pd.DataFrame({names[0]: scores}, index=rows.index)
    chosen = np.asarray(model.classes, dtype=object)[scores.argmax(axis=1)]
    return pd.DataFrame(dict(zip(names, [chosen, *scores.T], strict=True)), index=rows.index)


def output_names(classes: Sequence[str]) -> list[str]:
    """Return the columns that `predict_frame` gives; without classes, as in regression, it is one."""
    return ["prediction", *(f"probability_{name}" for name in classes)]


def to_table(rows: pd.DataFrame, columns: Sequence[Column]) -> pa.Table:
    """Return `columns` of `rows` as the preprocessor reads them; None, NaN, NaT and NA become null.

    Raises:
        DataError: A column is missing, or holds values that cannot be read as in training.
    """
    missing = [column.name for column in columns if column.name not in rows]
    if missing:
        raise DataError(
            f"The rows lack {len(missing)} of the model's columns: {', '.join(missing)}. Give every raw column; "
            "None stands for a missing value."
        )
    return pa.table({column.name: _to_array(rows[column.name], column) for column in columns})


def _to_array(values: pd.Series, column: Column) -> pa.Array:
    plain = values.astype(object).where(values.notna(), None)
    try:
        if column.role == DATETIME:
            times = pd.to_datetime(plain, utc=True, format="ISO8601").dt.tz_localize(None)
            moments = pa.Array.from_pandas(times.astype("datetime64[us]"))
            return moments.cast(pa.timestamp("us", "UTC")) if "tz=" in column.type else moments
        if column.type == "int64" and not column.numbers and column.vocabulary is None:
            return pa.array([_whole(value) for value in plain], pa.int64())
        if column.role == NUMERIC or column.type == "double" or isinstance((column.vocabulary or ("",))[0], float):
            return pa.Array.from_pandas(plain.astype("float64"))
        texts = pa.array([_category(value, column) for value in plain], pa.string())
        is_input = column.type == "bool" and column.vocabulary is None
        return texts.cast(pa.bool_()) if is_input else texts
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"The column {column.name!r} must hold {column.type} or None: {error}") from error


def _whole(value: Any) -> int | None:
    if value is not None and value != int(value):
        raise ValueError(f"{value} is no whole number")
    return None if value is None else int(value)


def _category(value: Any, column: Column) -> str | None:
    if value is None:
        return None
    # pandas turns whole numbers into floats as soon as one value of the column is missing.
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return _TRUTH.get(text, text) if column.type == "bool" else text
