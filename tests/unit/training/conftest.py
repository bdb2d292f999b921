"""Preprocessed tables that several tests of training share."""

import functools
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from ropewalk.artifacts import RAW_DATA, SPLIT, Manifest, read_artifact, write_artifact
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.splits import read_split
from ropewalk.training.config import TrainingConfig
from ropewalk.training.train import train

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that gives, per task and size, a folder with three splits and a preprocessor; read only."""

    @functools.cache
    def prepare(task: str = "binary", rows: int = 1500) -> Path:
        folder = tmp_path_factory.mktemp(f"{task}-{rows}")
        with write_artifact(folder / "raw", RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            _frame(task, rows).to_parquet(draft.folder / "data" / "table.parquet")
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


@pytest.fixture
def make_frame() -> Callable[..., pd.DataFrame]:
    """Return a function that gives rows whose target `y` depends on a number with gaps and a category."""
    return _frame


def _frame(task: str, rows: int = 1500) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, city = rng.normal(size=rows), rng.choice(["a", "b", "c"], rows)
    signal = 2 * x + np.select([city == "a", city == "b"], [1.5, -1.5]) + rng.normal(scale=0.3, size=rows)
    target = {
        "binary": np.where(signal > 0, "yes", "no"),
        "multiclass": np.digitize(signal, [-1.0, 1.0]),
        "regression": 1000 + 50 * signal,
    }[task]
    x[::50] = np.nan
    return pd.DataFrame({"x": x, "city": city, "noise": rng.normal(size=rows), "y": target})


@pytest.fixture
def fit_to(make_raw: Callable[..., Path]) -> Callable[..., tuple[Path, Manifest]]:
    """Return a function that trains on a frame's target `y`: gives the folder of all artifacts and the manifest.

    A column `weight` is ignored as a feature.
    """

    def fit(table: pd.DataFrame, task: str, config: TrainingConfig, *, epochs: int = 15) -> tuple[Path, Manifest]:
        raw = make_raw(table)
        folder = raw.parent
        paths = {name: folder / name for name in ("train", "validation", "test", "preprocessor")}
        ignore = tuple(name for name in ("weight",) if name in table)
        preprocess(raw, **paths, target="y", task=task, config=PreprocessConfig(ignore=ignore))
        manifest = train(
            paths["train"],
            validation=paths["validation"],
            preprocessor=paths["preprocessor"],
            model=folder / "model",
            epochs=epochs,
            config=config,
        )
        return folder, manifest

    return fit
