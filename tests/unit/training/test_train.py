import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ropewalk.artifacts import Manifest, read_artifact
from ropewalk.errors import ArtifactError, ConfigError, DataError, TrainingError
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.splits import read_split
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model
from ropewalk.training.train import train

SMALL = TrainingConfig(width=32, depth=2, number_embedding=4, category_embedding=4, learning_rate=5e-3)


@pytest.fixture
def fitted(
    make_raw: Callable[..., Path], make_frame: Callable[..., pd.DataFrame]
) -> Callable[..., tuple[Path, Manifest]]:
    def fit(task: str, config: TrainingConfig = SMALL, **arguments) -> tuple[Path, Manifest]:
        raw = make_raw(make_frame(task))
        folder = raw.parent
        paths = {name: folder / name for name in ("train", "validation", "test", "preprocessor")}
        preprocess(raw, **paths, target="y", task=task)
        manifest = train(
            paths["train"],
            validation=paths["validation"],
            preprocessor=paths["preprocessor"],
            model=folder / "model",
            config=config,
            **{"epochs": 15, **arguments},
        )
        return folder, manifest

    return fit


def test_a_binary_model_gives_probabilities_that_rank_well(fitted) -> None:
    folder, manifest = fitted("binary")
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    probabilities = model.predict(test)
    assert model.classes == ["no", "yes"]
    assert probabilities.shape == (test.num_rows, 2)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert ((probabilities[:, 1] > 0.5) == model.encode_target(test)).mean() > 0.9
    assert manifest.facts["validation_roc_auc"] > 0.97


def test_a_multiclass_model_gives_a_probability_per_class(fitted) -> None:
    folder, _ = fitted("multiclass")
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    assert model.classes == ["0", "1", "2"]
    assert (model.predict(test).argmax(axis=1) == model.encode_target(test)).mean() > 0.8


def test_a_regression_model_predicts_in_the_targets_unit(fitted) -> None:
    folder, manifest = fitted("regression", epochs=30)
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    error = model.predict(test) - model.encode_target(test)
    assert model.predict(test).mean() == pytest.approx(1000, abs=30)
    assert np.sqrt(np.mean(error**2)) < 0.4 * model.encode_target(test).std()
    validation, _ = read_split(folder / "validation")
    error = model.predict(validation) - model.encode_target(validation)
    assert manifest.facts["validation_rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-3)


def test_the_model_kept_is_that_of_the_best_epoch(fitted) -> None:
    folder, manifest = fitted("binary")
    model, (validation, _) = load_model(folder / "model"), read_split(folder / "validation")
    best = max(model.history, key=lambda entry: (entry["validation_roc_auc"], -entry["validation_loss"]))
    assert manifest.facts["best_epoch"] == best["epoch"]
    probability = model.predict(validation)[np.arange(validation.num_rows), model.encode_target(validation)]
    assert -np.log(probability).mean() == pytest.approx(best["validation_loss"], abs=1e-5)


def test_same_seed_same_model_other_seed_another(fitted) -> None:
    digests = [fitted("binary", seed=seed, epochs=2)[1].files["weights.safetensors"]["sha256"] for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_raw_rows_with_gaps_and_unseen_categories_are_predicted(fitted) -> None:
    folder, _ = fitted("binary", epochs=2)
    rows = pa.table({"x": [None, float("inf"), 1.0], "city": ["nowhere", None, "a"], "noise": [0, 0, 0]})
    predicted = load_model(folder / "model").predict(rows)
    assert np.isfinite(predicted).all()
    assert load_model(folder / "model").predict(rows.slice(0, 0)).shape == (0, 2)
    with pytest.raises(DataError, match="Columns are missing: city"):
        load_model(folder / "model").predict(rows.drop_columns(["city"]))


def test_training_stops_when_it_no_longer_gets_better(fitted, capsys: pytest.CaptureFixture[str]) -> None:
    _, manifest = fitted("binary", config=TrainingConfig(width=16, depth=1, patience=1), epochs=200)
    assert manifest.facts["epochs"] < 200
    assert "stopped: no better epoch" in capsys.readouterr().out


def test_small_tables_get_small_batches_and_many_epochs(fitted, capsys: pytest.CaptureFixture[str]) -> None:
    fitted("binary", epochs=0)
    out = capsys.readouterr().out
    batch, epochs = (int(found) for found in re.search(r"at most (\d+) epochs of (\d+)-row steps", out).groups()[::-1])
    assert 60 <= batch <= 70
    assert 110 <= epochs <= 140


def test_progress_names_epoch_score_and_speed(fitted, capsys: pytest.CaptureFixture[str]) -> None:
    fitted("binary", epochs=2)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 1/2"))
    assert all(word in line for word in ("train loss", "validation loss", "roc_auc", "rows/s", "s left"))


def test_a_bfloat16_model_scores_like_a_float32_one(fitted) -> None:
    scores = [
        fitted("binary", config=TrainingConfig(width=32, depth=2, precision=precision))[1].facts["validation_roc_auc"]
        for precision in ("float32", "bfloat16")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


def test_a_loss_that_is_no_number_stops_with_advice(fitted) -> None:
    with pytest.raises(
        TrainingError, match=r"became (nan|inf) at step \d+ of epoch \d+.*Lower training\.learning_rate"
    ):
        fitted("regression", config=TrainingConfig(width=32, learning_rate=1e30))


def test_a_gpu_that_is_not_there_is_an_error_before_data_is_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    nowhere = tmp_path / "nowhere"
    with pytest.raises(TrainingError, match="torch sees no GPU here"):
        train(
            nowhere,
            validation=nowhere,
            preprocessor=nowhere,
            model=tmp_path / "model",
            config=TrainingConfig(device="cuda"),
        )


def test_a_process_without_a_gpu_of_its_own_is_an_error_before_data_is_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    nowhere = tmp_path / "nowhere"
    with pytest.raises(TrainingError, match="Process 2 of this machine has no GPU of its own: torch sees 2"):
        train(nowhere, validation=nowhere, preprocessor=nowhere, model=tmp_path / "model")


def test_the_compiler_is_not_loaded(fitted) -> None:
    folder, _ = fitted("binary", epochs=1, config=SMALL)
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ropewalk.training.config import TrainingConfig\n"
        "from ropewalk.training.train import train\n"
        f"folder = Path({str(folder)!r})\n"
        "names = {name: folder / name for name in ('validation', 'preprocessor')}\n"
        "train(folder / 'train', **names, model=folder / 'again', epochs=1, config=TrainingConfig(clip=1.0))\n"
        "heavy = {'torch._dynamo', 'matplotlib', 'mlflow', 'sklearn', 'fsspec'} & sys.modules.keys()\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_negative_epochs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="epochs=-1"):
        train(tmp_path, validation=tmp_path, preprocessor=tmp_path, model=tmp_path / "model", epochs=-1)


def test_an_unfinished_or_altered_model_is_refused(fitted) -> None:
    folder, _ = fitted("binary", epochs=1)
    weights = folder / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ArtifactError, match=r"'weights\.safetensors' has changed"):
        load_model(folder / "model")


def test_the_model_holds_no_pickle_and_says_how_it_was_made(fitted) -> None:
    folder, manifest = fitted("binary", epochs=1)
    assert set(manifest.files) == {"weights.safetensors", "model.json", "preprocessor.json", "history.json"}
    description = json.loads((folder / "model" / "model.json").read_text())
    assert description["training"]["width"] == 32
    assert set(description["environment"]) == {"ropewalk", "torch", "safetensors", "numpy", "pyarrow"}
    assert [source["kind"] for source in manifest.made_from] == ["preprocessor", "split", "split"]
    assert all(math.isfinite(value) for value in manifest.facts.values() if isinstance(value, float))
    assert read_artifact(folder / "model", "model") == manifest


def test_a_function_of_ones_own_goes_before_the_network_in_training_and_in_the_loaded_model(
    make_raw, make_frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "def halve(rows):\n    return rows.assign(half=rows['x'] / 2).drop(columns='noise')\n"
    (tmp_path / "halving.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    paths = {name: tmp_path / name for name in ("train", "validation", "test", "preprocessor")}
    config = PreprocessConfig(function="halving:halve")
    preprocess(make_raw(make_frame("binary")), **paths, target="y", task="binary", config=config)
    inputs = {name: paths[name] for name in ("train", "validation", "preprocessor")}
    train(**inputs, model=tmp_path / "model", epochs=10, config=SMALL)
    model, (test, _) = load_model(tmp_path / "model"), read_split(paths["test"])
    assert [column.name for column in model.preprocessor.used] == ["x", "city", "half"]
    assert {"x", "city", "noise"} <= set(test.column_names)
    assert (model.predict(test).argmax(axis=1) == model.encode_target(test)).mean() > 0.85
