"""Preprocessed tables that several tests of training share."""

import functools
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from ropewalk.artifacts import RAW_DATA, SPLIT, read_artifact, write_artifact
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.splits import read_split

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, make_frame: Callable[..., pd.DataFrame]) -> Callable[..., Path]:
    """Return a function that gives, per task and size, a folder with three splits and a preprocessor; read only."""

    @functools.cache
    def prepare(task: str = "binary", rows: int = 1500) -> Path:
        folder = tmp_path_factory.mktemp(f"{task}-{rows}")
        with write_artifact(folder / "raw", RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            make_frame(task, rows).to_parquet(draft.folder / "data" / "table.parquet")
        preprocess(
            folder / "raw",
            **{name: folder / name for name in SPLITS},
            preprocessor=folder / "preprocessor",
            target="y",
            task=task,
        )
        return folder

    return prepare


@pytest.fixture(scope="session")
def regrouped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, int], Path]:
    """Return a function that writes a split anew, in two files with row groups of so many rows."""

    def regroup(split: Path, rows: int) -> Path:
        found, manifest = read_split(split)
        path = tmp_path_factory.mktemp("regrouped") / split.name
        half = found.num_rows // 2
        with write_artifact(path, SPLIT) as draft:
            for number, part in enumerate((found.slice(0, half), found.slice(half))):
                pq.write_table(part, draft.folder / f"part-{number:05}.parquet", row_group_size=rows)
            draft.facts.update(manifest.facts)
        assert read_artifact(path, SPLIT).facts["rows"] == found.num_rows
        return path

    return regroup


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that has this process get SIGTERM in the so-manieth optimiser step from now."""

    def arrange(steps: int) -> None:
        left = itertools.count(1)
        kernel = torch._fused_adamw_

        def terminated(*arguments: Any, **named: Any) -> None:
            kernel(*arguments, **named)
            if next(left) == steps:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(torch, "_fused_adamw_", terminated)

    return arrange
