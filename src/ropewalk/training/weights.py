"""Weights of rows in the loss: by class, by a column of the table, or both."""

from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True, kw_only=True)
class Weighting:
    """How much each row of a split counts: its class's factor times its value in a column, 1 on average."""

    factors: np.ndarray | None
    """Per class index, 0 or more; absent: classes count alike."""
    column: str
    """Raw column of weights; empty: none."""
    mean: float
    """Mean of the products over the split, above 0: divided by, so that learning rates keep their meaning."""

    def of(self, table: pa.Table, target: np.ndarray) -> np.ndarray:
        """Return the weights of some of the split's rows, shape (rows,).

        Args:
            table: The rows, with the column of weights.
            target: Their encoded target.
        """
        weights = _column_weights(table, self.column) if self.column else np.ones(len(target))
        return (weights if self.factors is None else weights * self.factors[target]) / self.mean


def measure_weighting(
    chunks: Iterable[tuple[pa.Table, np.ndarray]], preprocessor: Preprocessor, config: TrainingConfig, *, training: bool
) -> Weighting | None:
    """Return how the rows of a split weigh; None where all weigh the same.

    Classes weigh in training alone: balanced or not, the best epoch is the one that is best for rows as they come.

    Args:
        chunks: All rows of the split, one chunk at a time, with their encoded target.
        preprocessor: Names the classes.
        config: Class weights, and the column of weights.
        training: Whether it is the training split.

    Raises:
        DataError: The column of weights is missing, holds a value that is no finite number of 0 or more, or is 0 in all
            rows.
    """
    by_class = training and config.class_weights is not None
    if not by_class and not config.weight_column:
        return None
    classes = len(preprocessor.classes) if by_class else 1
    counts, sums = np.zeros(classes), np.zeros(classes)
    for table, target in chunks:
        places = target if by_class else np.zeros(len(target), dtype=np.int64)
        weights = _column_weights(table, config.weight_column) if config.weight_column else np.ones(len(target))
        counts += np.bincount(places, minlength=classes)
        sums += np.bincount(places, weights=weights, minlength=classes)
    factors = _class_factors(preprocessor.classes, counts, config.class_weights) if by_class else np.ones(1)
    mean = float(factors @ sums / counts.sum())
    if not mean:
        raise DataError(
            f"All {int(counts.sum()):,} rows of a split have weight 0: check training.weight_column and class_weights."
        )
    return Weighting(factors=factors if by_class else None, column=config.weight_column, mean=mean)


def _class_factors(
    classes: tuple[str, ...], counts: np.ndarray, wanted: str | Mapping[str, float] | None
) -> np.ndarray:
    if isinstance(wanted, Mapping):
        return np.array([wanted.get(name, 1.0) for name in classes])
    # As scikit-learn's "balanced", after King and Zeng, "Logistic Regression in Rare Events Data" (2001).
    return np.asarray(counts.sum() / (len(classes) * counts.clip(min=1)))


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
