"""Weights of rows in the loss: by class, by a column of the table, or both."""

from collections.abc import Mapping

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


def training_weights(
    preprocessor: Preprocessor, table: pa.Table, target: np.ndarray, config: TrainingConfig
) -> np.ndarray | None:
    """Return each training row's weight in the loss, 1 on average, shape (rows,); None where all weigh the same.

    Args:
        preprocessor: Names the classes.
        table: Training rows with all raw columns.
        target: Their target: class indices, or values.
        config: Class weights, and the column of weights.

    Raises:
        DataError: The column of weights is missing, or holds a value that is no finite number of 0 or more.
    """
    weights = _column_weights(table, config.weight_column) if config.weight_column else None
    if config.class_weights is not None:
        of_class = _class_weights(preprocessor.classes, target, config.class_weights)[target]
        weights = of_class if weights is None else weights * of_class
    return None if weights is None else _with_mean_1(weights)


def validation_weights(table: pa.Table, config: TrainingConfig) -> np.ndarray | None:
    """Return each validation row's weight in loss and score, 1 on average, shape (rows,); None where all weigh alike.

    Classes are not weighed here: balanced or not, the best epoch is the one that is best for rows as they come.

    Raises:
        DataError: The column of weights is missing, or holds a value that is no finite number of 0 or more.
    """
    return _with_mean_1(_column_weights(table, config.weight_column)) if config.weight_column else None


def _with_mean_1(weights: np.ndarray) -> np.ndarray:
    mean = weights.mean()
    if not mean:
        raise DataError(
            f"All {len(weights):,} rows of a split have weight 0: check training.weight_column and class_weights."
        )
    return np.asarray(weights / mean)


def _class_weights(classes: tuple[str, ...], target: np.ndarray, wanted: str | Mapping[str, float]) -> np.ndarray:
    if not isinstance(wanted, str):
        return np.array([wanted.get(name, 1.0) for name in classes])
    # As scikit-learn's "balanced", after King and Zeng, "Logistic Regression in Rare Events Data" (2001).
    return len(target) / (len(classes) * np.bincount(target, minlength=len(classes)).clip(min=1))


def _column_weights(table: pa.Table, name: str) -> np.ndarray:
    if name not in table.column_names:
        raise DataError(
            f"training.weight_column names {name!r}, which the rows lack."
            f"{nearest(name, table.column_names)} They have: {', '.join(table.column_names)}."
        )
    values = table[name].combine_chunks()
    weights = as_numbers(values).to_numpy(zero_copy_only=False)
    (wrong,) = np.nonzero(~(weights >= 0))
    if len(wrong):
        raise DataError(
            f"The weight column {name!r} holds {values[wrong[0]].as_py()!r} and {len(wrong) - 1:,} more values that "
            "are no finite numbers of 0 or more: mend or drop these rows."
        )
    return np.asarray(weights)
