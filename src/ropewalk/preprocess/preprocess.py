"""Preprocess a raw table: split it, and learn from the training rows how to read its columns."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.artifacts import PREPROCESSOR, RAW_DATA, Manifest, read_artifact, write_artifact
from ropewalk.data.tables import read_table
from ropewalk.errors import ConfigError, DataError, nearest
from ropewalk.preprocess.columns import IGNORED, Column, as_numbers, learn_columns
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocessor import Preprocessor, class_names
from ropewalk.preprocess.splits import NAMES, assign_by_hash, assign_by_time, check_splits, write_split
from ropewalk.progress import say

TASKS = ("binary", "multiclass", "regression")


def preprocess(
    data: Path,
    *,
    train: Path,
    validation: Path,
    test: Path,
    preprocessor: Path,
    target: str,
    task: str,
    time_column: str = "",
    config: PreprocessConfig = PreprocessConfig(),
) -> dict[str, Manifest]:
    """Split a raw table and write its three splits and the preprocessor; returns their manifests by name.

    The splits keep the raw columns: the preprocessor is part of the model, so training and serving cannot differ.

    Args:
        data: Raw-data artifact.
        train: Where to write the split that the model learns from.
        validation: Where to write the split that chooses the best epoch.
        test: Where to write the split that only evaluation sees.
        preprocessor: Where to write the preprocessor.
        target: Column to predict. Rows without it are dropped.
        task: "binary", "multiclass" or "regression".
        time_column: Split by time, oldest rows for training; empty: by a hash of each row.
        config: Shares and column roles.

    Raises:
        ConfigError: A setting names a column that is not there, or the task is unknown.
        DataError: The table cannot be split or read.
    """
    if task not in TASKS:
        raise ConfigError(f"task={task!r}: need one of {', '.join(TASKS)}.{nearest(task, TASKS)}")
    raw = read_artifact(data, RAW_DATA)
    table = _with_target(read_table(data), target, task)
    assigned = _assign(table, target, time_column, config)
    pieces = {name: table.filter(pa.array(assigned == index)) for index, name in enumerate(NAMES)}
    learned = Preprocessor(
        task=task,
        target=target,
        classes=_classes(pieces["train"], target, task),
        columns=tuple(learn_columns(pieces["train"], target, config)),
    )
    _describe(learned)
    if not learned.used:
        raise DataError("No column is left to learn from: every one was set aside, for the reasons above.")
    manifests = {}
    for name, path in zip(NAMES, (train, validation, test), strict=True):
        learned.encode_target(pieces[name])
        manifests[name] = write_split(path, pieces[name], name, target=target, task=task, made_from=raw)
        say(f"{name}: {pieces[name].num_rows:,} rows")
    with write_artifact(preprocessor, PREPROCESSOR, [manifests["train"]]) as draft:
        learned.save(draft.folder)
        draft.facts.update(
            columns=len(learned.used),
            ignored=len(learned.columns) - len(learned.used),
            target=target,
            task=task,
        )
    return {**manifests, "preprocessor": read_artifact(preprocessor, PREPROCESSOR)}


def _with_target(table: pa.Table, target: str, task: str) -> pa.Table:
    if target not in table.column_names:
        raise DataError(
            f"There is no target column {target!r}.{nearest(target, table.column_names)} "
            f"The columns are: {', '.join(table.column_names)}."
        )
    values = as_numbers(table[target].combine_chunks()) if task == "regression" else table[target]
    kept = table.filter(values.is_valid())
    dropped = table.num_rows - kept.num_rows
    if dropped:
        say(f"dropped {dropped:,} of {table.num_rows:,} rows that have no {target!r}")
    return kept


def _assign(table: pa.Table, target: str, time_column: str, config: PreprocessConfig) -> np.ndarray:
    for setting, name in (("time_column", time_column), ("preprocess.key_column", config.key_column)):
        if name and name not in table.column_names:
            raise ConfigError(
                f"{setting} names {name!r}, which is no column of the table.{nearest(name, table.column_names)}"
            )
    if time_column:
        nulls = table[time_column].null_count
        if nulls:
            raise DataError(
                f"The time column {time_column!r} is empty in {nulls:,} rows, so they have no place in "
                "time: fill or drop them."
            )
        assigned = assign_by_time(table[time_column], config)
        check_splits(
            assigned,
            f"too few different values in {time_column!r}; choose another time_column, or other fractions.",
        )
        return assigned
    keys = [config.key_column] if config.key_column else [name for name in table.column_names if name != target]
    assigned = assign_by_hash(table.select(keys).to_pandas(), config)
    check_splits(assigned, "too few different rows; use more data, or larger validation_fraction and test_fraction.")
    return assigned


def _classes(train: pa.Table, target: str, task: str) -> tuple[str, ...]:
    if task == "regression":
        return ()
    values = pc.unique(train[target].combine_chunks()).sort()
    classes = tuple(class_names(values).to_pylist())
    if len(classes) < 2 or (task == "binary" and len(classes) != 2):
        raise DataError(
            f"The training rows hold {len(classes)} class(es) of {target!r} ({', '.join(classes[:10])}), and {task} "
            f"needs {'exactly 2' if task == 'binary' else 'at least 2'}. "
            f"Check the target, the task, or how rows are split."
        )
    return classes


def _describe(learned: Preprocessor) -> None:
    width = max((len(column.name) for column in learned.columns), default=0)
    for column in learned.columns:
        say(f"  {column.name:<{width}}  {column.role:<11}  {_detail(column)}")


def _detail(column: Column) -> str:
    if column.role == IGNORED:
        return f"set aside: {column.reason}"
    known = f", {len(column.vocabulary):,} categories" if column.vocabulary is not None else ""
    return f"{column.missing:.1%} missing{known}"
