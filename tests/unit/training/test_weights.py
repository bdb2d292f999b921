from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ropewalk.errors import ConfigError, DataError
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.learning import learn_columns
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.preprocess.splits import read_split
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model
from ropewalk.training.weights import learn_weighting

SMALL = {"width": 16, "depth": 1, "number_embedding": 4, "learning_rate": 1e-2}


def share_called(folder: Path, name: str) -> float:
    """Mean predicted probability of the class `name` on the test rows."""
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    return float(model.predict(test)[:, model.classes.index(name)].mean())


@pytest.mark.parametrize("architecture", ["linear", "gbdt"])
def test_balanced_classes_are_predicted_alike_often(architecture: str, make_frame: Callable, fit_to: Callable) -> None:
    table = make_frame("binary")
    table["x"], table["city"] = table["noise"], "a"
    table["y"] = np.where(np.arange(len(table)) % 10 == 0, "yes", "no")
    shares = []
    for more in ({}, {"class_weights": "balanced"}, {"class_weights": {"yes": 9.0}}):
        config = TrainingConfig(architecture=architecture, learning_rate=5e-3, boosting_leaves=2, **more)
        shares.append(share_called(fit_to(table, "binary", config, epochs=12)[0], "yes"))
    assert shares == pytest.approx([0.1, 0.5, 0.5], abs=0.07)


@pytest.mark.parametrize("architecture", ["linear", "gbdt"])
def test_rows_of_weight_zero_teach_nothing(architecture: str, make_frame, fit_to) -> None:
    table = make_frame("regression")
    table["weight"] = (table["city"] == "c").astype(float)
    table.loc[table["weight"] == 0, "y"] = 5000.0
    config = TrainingConfig(architecture=architecture, weight_column="weight", **SMALL)
    folder, _ = fit_to(table, "regression", config, epochs=30)
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    assert "weight" not in model.feature_names
    assert model.predict(test).mean() < 2500


def test_equal_weights_change_nothing(make_frame, fit_to) -> None:
    table = make_frame("binary")
    folder, _ = fit_to(table.assign(weight=3.0), "binary", TrainingConfig(**SMALL), epochs=2)
    plain = load_model(folder / "model").history[-1]["train_loss"]
    folder, _ = fit_to(table.assign(weight=3.0), "binary", TrainingConfig(weight_column="weight", **SMALL), epochs=2)
    assert load_model(folder / "model").history[-1]["train_loss"] == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda rows: np.where(np.arange(rows) % 3, 1.0, -2.0), r"'weight' holds -2\.0 and \d+ more"),
        (lambda rows: np.where(np.arange(rows) % 3, 1.0, np.nan), r"'weight' holds None and \d+ more"),
        (lambda rows: np.where(np.arange(rows) % 3, 1.0, np.inf), r"'weight' holds inf and \d+ more"),
        (np.zeros, "have weight 0"),
    ],
)
def test_weights_that_are_none_are_refused(weights: Callable, message: str, make_frame, fit_to) -> None:
    table = make_frame("binary")
    table["weight"] = weights(len(table))
    with pytest.raises(DataError, match=message):
        fit_to(table, "binary", TrainingConfig(weight_column="weight", **SMALL), epochs=1)


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("binary", {"class_weights": {"yess": 2.0}}, r"names 'yess', which is no class of 'y'\. Did you mean 'yes'"),
        ("regression", {"class_weights": "balanced"}, "'y' has no classes"),
        ("binary", {"weight_column": "noise"}, r"names 'noise', which the model reads: name it in preprocess\.ignore"),
    ],
)
def test_weights_that_do_not_fit_are_refused(task: str, settings: dict, message: str, make_frame, fit_to) -> None:
    for architecture in ("tabular", "gbdt"):
        with pytest.raises(ConfigError, match=message):
            fit_to(make_frame(task), task, TrainingConfig(architecture=architecture, **settings), epochs=1)


def test_an_absent_weight_column_is_refused(make_frame, fit_to) -> None:
    with pytest.raises(DataError, match=r"names 'wieght', which the rows lack\. Did you mean 'weight'"):
        fit_to(make_frame("binary").assign(weight=1.0), "binary", TrainingConfig(weight_column="wieght"), epochs=1)


@pytest.mark.parametrize(
    ("class_weights", "share_of_no"),
    [
        (None, lambda _: 1.0),
        ("balanced", lambda yes: yes.mean() / (1 - yes.mean())),
        ({"no": 0.25}, lambda _: 0.25),
    ],
)
def test_weights_measured_in_chunks_are_those_of_the_whole(
    class_weights: Any, share_of_no: Callable[[np.ndarray], float], make_frame: Callable[..., pd.DataFrame]
) -> None:
    frame = make_frame("binary").assign(weight=np.linspace(0, 2, 1500))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    columns = tuple(learn_columns(table, "y", PreprocessConfig(ignore=("weight",))))
    learned = Preprocessor(task="binary", target="y", classes=("no", "yes"), columns=columns)
    config = TrainingConfig(weight_column="weight", class_weights=class_weights)
    pieces = [table.slice(start, 400) for start in range(0, 1500, 400)]
    chunks = [(piece, learned.encode_target(piece)) for piece in pieces]
    weighting = learn_weighting(learned, chunks, config, class_weights=class_weights)
    weights = np.concatenate([weighting.of(*chunk) for chunk in chunks])
    yes = (frame["y"] == "yes").to_numpy()
    expected = frame["weight"].to_numpy() * np.where(yes, 1.0, share_of_no(yes))
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-9)
    plain = learn_weighting(learned, chunks, config, class_weights=None)
    np.testing.assert_allclose(plain.of(table, learned.encode_target(table)), frame["weight"], rtol=1e-9)
