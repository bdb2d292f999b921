"""Splits: which rows train, which choose the best epoch, and which the model never sees; and their files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ropewalk.artifacts import SPLIT, Manifest, read_artifact, write_artifact
from ropewalk.errors import DataError
from ropewalk.preprocess.config import PreprocessConfig

NAMES = ("train", "validation", "test")


def assign_by_time(times: pa.ChunkedArray, config: PreprocessConfig) -> np.ndarray:
    """Return each row's index in NAMES, oldest rows first: training never sees what comes later.

    Rows of one moment stay together, so shares are met up to the size of one moment.

    Args:
        times: Numbers, dates, timestamps or sortable text such as ISO 8601, without nulls.
        config: The shares.
    """
    ranks: np.ndarray = pc.rank(times.combine_chunks(), sort_keys="ascending", tiebreaker="min").to_numpy() - 1
    rows = len(ranks)
    test_from = rows * (1 - config.test_fraction)
    validation_from = rows * (1 - config.test_fraction - config.validation_fraction)
    return (ranks >= validation_from).astype(np.int8) + (ranks >= test_from).astype(np.int8)


def assign_by_hash(keys: pd.DataFrame, config: PreprocessConfig) -> np.ndarray:
    """Return each row's index in NAMES by a hash of its values in `keys`, so that no row moves when rows are added."""
    shares = pd.util.hash_pandas_object(keys, index=False).to_numpy() / 2.0**64
    test_from = 1 - config.test_fraction
    after_train, in_test = shares >= test_from - config.validation_fraction, shares >= test_from
    return after_train.astype(np.int8) + in_test.astype(np.int8)


def check_splits(assigned: np.ndarray, advice: str) -> None:
    """Refuse an assignment that leaves one of the splits empty.

    Raises:
        DataError: Names the empty split; `advice` says what to change.
    """
    counts = np.bincount(assigned, minlength=len(NAMES))
    empty = [name for name, count in zip(NAMES, counts, strict=True) if count == 0]
    if empty:
        raise DataError(f"No rows are left for {' and '.join(empty)} out of {len(assigned):,}: {advice}")


def write_split(path: Path, table: pa.Table, name: str, *, target: str, task: str, made_from: Manifest) -> Manifest:
    """Write `table` as the split `name` and return its manifest."""
    with write_artifact(path, SPLIT, [made_from]) as draft:
        pq.write_table(table, draft.folder / "part-00000.parquet", compression="zstd")
        draft.facts.update(split=name, rows=table.num_rows, columns=table.num_columns, target=target, task=task)
    return read_artifact(path, SPLIT)


def read_split(path: Path) -> tuple[pa.Table, Manifest]:
    """Return a split's rows, raw feature columns and target, and its manifest, every byte verified."""
    manifest = read_artifact(path, SPLIT)
    return pa.concat_tables([pq.read_table(path / name) for name in sorted(manifest.files)]), manifest
