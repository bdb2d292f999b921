import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from ropewalk.errors import ConfigError, TrainingError
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.splits import read_split
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model
from ropewalk.training.train import train

GBDT = TrainingConfig(architecture="gbdt", boosting_leaves=8)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_trees_are_trained_saved_and_loaded(task: str, make_frame: Callable, fit_to: Callable) -> None:
    folder, manifest = fit_to(make_frame(task), task, GBDT, epochs=60)
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    predicted, truth = model.predict(test), model.encode_target(test)
    if task == "regression":
        assert np.sqrt(np.mean((predicted - truth) ** 2)) < 0.3 * truth.std()
    else:
        assert predicted.shape == (test.num_rows, len(model.classes))
        assert predicted.sum(axis=1) == pytest.approx(1)
        assert (predicted.argmax(axis=1) == truth).mean() > 0.85
    assert (manifest.facts["architecture"], manifest.facts["precision"]) == ("gbdt", "float32")
    assert manifest.facts["parameters"] > 8


def test_the_best_round_is_kept_and_its_loss_is_that_of_the_loaded_model(make_frame, fit_to, capsys) -> None:
    config = TrainingConfig(architecture="gbdt", patience=5, boosting_rate=0.5)
    folder, manifest = fit_to(make_frame("binary"), "binary", config, epochs=0)
    model, (validation, _) = load_model(folder / "model"), read_split(folder / "validation")
    best = max(model.history, key=lambda entry: (entry["validation_roc_auc"], -entry["validation_loss"]))
    assert manifest.facts["best_epoch"] == best["epoch"] == len(model.history) - 5
    probability = model.predict(validation)[np.arange(validation.num_rows), model.encode_target(validation)]
    assert -np.log(probability).mean() == pytest.approx(best["validation_loss"], abs=1e-5)
    out = capsys.readouterr().out
    assert "gradient boosting of at most 1,000 rounds on cpu" in out
    assert f"stopped: no better round than {best['epoch']} in the last 5" in out


def test_history_has_the_entries_of_a_networks(make_frame, fit_to) -> None:
    folder, _ = fit_to(make_frame("regression"), "regression", GBDT, epochs=3)
    trees = load_model(folder / "model").history
    folder, _ = fit_to(make_frame("regression"), "regression", TrainingConfig(width=8), epochs=1)
    assert [entry["epoch"] for entry in trees] == [1, 2, 3]
    assert set(load_model(folder / "model").history[0]) >= set(trees[0])


def test_rounds_are_drawn_as_a_page_of_curves(make_raw, make_frame, tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("train", "validation", "test", "preprocessor")}
    preprocess(make_raw(make_frame("binary")), **paths, target="y", task="binary")
    inputs = {name: paths[name] for name in ("train", "validation", "preprocessor")}
    train(**inputs, model=tmp_path / "model", curves=tmp_path / "curves.html", epochs=4, config=GBDT)
    page = (tmp_path / "curves.html").read_text()
    assert "Predicting y" in page
    assert "4 epochs" in page


def test_several_processes_are_refused_before_anything_is_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="Gradient boosting uses one process"):
        train(tmp_path / "a", validation=tmp_path / "b", preprocessor=tmp_path / "c", model=tmp_path / "d", config=GBDT)


def test_same_seed_and_rows_give_the_same_trees(make_frame, fit_to) -> None:
    digests = [fit_to(make_frame("binary"), "binary", GBDT, epochs=5)[1].files["trees.json"]["sha256"] for _ in "12"]
    assert digests[0] == digests[1]


def test_gaps_and_unseen_categories_are_predicted(make_frame, fit_to) -> None:
    folder, _ = fit_to(make_frame("binary"), "binary", GBDT, epochs=5)
    rows = pa.table({"x": [None, float("inf"), 1.0], "city": ["nowhere", None, "a"], "noise": [0, 0, 0]})
    model = load_model(folder / "model")
    assert np.isfinite(model.predict(rows)).all()
    assert model.predict(rows.slice(0, 0)).shape == (0, 2)


def test_the_model_is_json_and_names_the_library(make_frame, fit_to) -> None:
    folder, manifest = fit_to(make_frame("binary"), "binary", GBDT, epochs=2)
    assert set(manifest.files) == {"trees.json", "model.json", "preprocessor.json", "history.json"}
    json.loads((folder / "model" / "trees.json").read_text())
    description = json.loads((folder / "model" / "model.json").read_text())
    assert set(description["environment"]) == {"ropewalk", "numpy", "pyarrow", "xgboost-cpu"}


def test_trees_are_loaded_without_torch(make_frame, fit_to) -> None:
    folder, _ = fit_to(make_frame("binary"), "binary", GBDT, epochs=2)
    script = (
        "import sys; from pathlib import Path; from ropewalk.preprocess.splits import read_split;"
        "from ropewalk.training.model import load_model;"
        f"model = load_model(Path({str(folder / 'model')!r}));"
        f"model.predict(read_split(Path({str(folder / 'test')!r}))[0]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", script], check=False).returncode == 0


def test_without_the_library_training_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ConfigError, match=r"needs XGBoost.*pip install 'ropewalk\[gbdt\]'"):
        train(nowhere, validation=nowhere, preprocessor=nowhere, model=tmp_path / "model", config=GBDT)


def test_a_gpu_without_a_library_built_for_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropewalk.training.gbdt.choose_device", lambda _: torch.device("cuda"))
    nowhere = tmp_path / "nowhere"
    with pytest.raises(TrainingError, match="install xgboost in place of xgboost-cpu"):
        train(
            nowhere,
            validation=nowhere,
            preprocessor=nowhere,
            model=tmp_path / "model",
            config=TrainingConfig(architecture="gbdt", device="cuda"),
        )
