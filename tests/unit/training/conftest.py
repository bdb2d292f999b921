"""Fixtures of training's tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ropewalk.artifacts import Manifest
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.training.config import TrainingConfig
from ropewalk.training.train import train


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
