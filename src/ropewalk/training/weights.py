"""Weights of rows in the loss: by class, by a column of the table, or both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ropewalk.errors import ConfigError, DataError, nearest
from ropewalk.preprocess.columns import as_numbers
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.training.config import TrainingConfig


def check_weights(preprocessor: Preprocessor, config: TrainingConfig) -> None:
    """Refuse weights that do not fit the target or the columns.

    Raises:
        ConfigError: Class weights for a regression target or an unknown class, or a weight column that is a feature.
    """
    if config.class_weights is not None and preprocessor.task == "regression":
        raise ConfigError(
            f"training.class_weights={config.class_weights!r}, but {preprocessor.target!r} has no classes: "
            "leave it out, or weigh rows by training.weight_column."
        )
    if isinstance(config.class_weights, dict):
        for name in config.class_weights:
            if name not in preprocessor.classes:
                raise ConfigError(
                    f"training.class_weights names {name!r}, which is no class of {preprocessor.target!r}."
                    f"{nearest(name, preprocessor.classes)} The classes are {', '.join(preprocessor.classes)}."
                )
    if config.weight_column in (preprocessor.target, *(column.name for column in preprocessor.used)):
        raise ConfigError(
            f"training.weight_column names {config.weight_column!r}, which the model reads: name it in "
            "preprocess.ignore too, and run preprocessing again."
        )


@dataclass(frozen=True)
class Weighting:
    """How much each row counts in the loss."""

    of_class: np.ndarray | None = None
    """Weight of each class; absent: classes count alike."""
    column: str = ""
    """Column of rows' weights; empty: none."""
    mean: float = 1.0
    """Mean weight of the split's rows, divided by so that 1 is the average."""

    def of(self, table: pa.Table, target: np.ndarray) -> np.ndarray | None:
        """Return the weights of rows, shape (rows,); None where all weigh the same.

        Raises:
            DataError: The column of weights is missing, or holds a value that is no finite number of 0 or more.
        """
        weights = _column_weights(table, self.column) if self.column else None
        if self.of_class is not None:
            weights = self.of_class[target] * (1.0 if weights is None else weights)
        return None if weights is None else np.asarray(weights / self.mean)


def learn_weighting(
    preprocessor: Preprocessor,
    pieces: Iterable[tuple[pa.Table, np.ndarray]],
    config: TrainingConfig,
    *,
    class_weights: str | Mapping[str, float] | None,
) -> Weighting:
    """Return how the rows of a split are weighed, 1 on average; `pieces` are its rows with their encoded target.

    Classes are weighed in training only (`class_weights` is absent for validation): balanced or not, the best epoch is
    the one that is best for rows as they come.

    Raises:
        DataError: The column of weights is missing, or holds a value that is no finite number of 0 or more.
    """
    if class_weights is None and not config.weight_column:
        return Weighting()
    groups = len(preprocessor.classes) or 1
    counts, weights = np.zeros(groups), np.zeros(groups)
    for table, target in pieces:
        group = target if preprocessor.classes else np.zeros(len(target), dtype=np.int64)
        of_rows = _column_weights(table, config.weight_column) if config.weight_column else None
        counts += np.bincount(group, minlength=groups)
        weights += np.bincount(group, weights=of_rows, minlength=groups)
    of_class = None if class_weights is None else _class_weights(preprocessor.classes, counts, class_weights)
    total = float((weights if of_class is None else of_class * weights).sum())
    if not total:
        raise DataError(
            f"All {counts.sum():,.0f} rows of a split have weight 0: check training.weight_column and class_weights."
        )
    return Weighting(of_class, config.weight_column, total / float(counts.sum()))


def _class_weights(classes: tuple[str, ...], counts: np.ndarray, wanted: str | Mapping[str, float]) -> np.ndarray:
    if not isinstance(wanted, str):
        return np.array([wanted.get(name, 1.0) for name in classes])
    # As scikit-learn's "balanced", after King and Zeng, "Logistic Regression in Rare Events Data" (2001).
    return np.asarray(counts.sum() / (len(classes) * counts.clip(min=1)))


def check_weight_column(name: str, known: Sequence[str]) -> None:
    """Refuse a weight column that the rows lack.

    Raises:
        DataError: They do.
    """
    if name and name not in known:
        raise DataError(
            f"training.weight_column names {name!r}, which the rows lack.{nearest(name, known)} "
            f"They have: {', '.join(known)}."
        )


def _column_weights(table: pa.Table, name: str) -> np.ndarray:
    check_weight_column(name, table.column_names)
    values = table[name].combine_chunks()
    weights = as_numbers(values).to_numpy(zero_copy_only=False)
    (wrong,) = np.nonzero(~(weights >= 0))
    if len(wrong):
        raise DataError(
            f"The weight column {name!r} holds {values[wrong[0]].as_py()!r} and {len(wrong) - 1:,} more values that "
            "are no finite numbers of 0 or more: mend or drop these rows."
        )
    return np.asarray(weights)
