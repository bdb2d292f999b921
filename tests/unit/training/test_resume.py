"""Training that is killed or stopped ends with the same model, bit by bit, as training that is not."""

import json
import math
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.errors import StoppedError
from ropewalk.training.config import TrainingConfig
from ropewalk.training.train import train

DEATHS = Path(__file__).with_name("deaths.py")
SETTINGS = {"width": 16, "depth": 2, "number_embedding": 4, "batch_size": 16, "checkpoint_steps": 3}


def weights(model: Path) -> bytes:
    return (model / "weights.safetensors").read_bytes()


def learned(model: Path) -> list[dict]:
    """The history without what depends on the clock and the machine."""
    timed = ("seconds", "rows_per_second")
    entries = json.loads((model / "history.json").read_text())
    return [
        {name: value for name, value in entry.items() if name not in timed and not name.startswith("system/")}
        for entry in entries
    ]


def fit(folder: Path, model: Path, *, split: Path | None = None, epochs: int = 6, **settings: object) -> bytes:
    train(
        split or folder / "train",
        validation=folder / "validation",
        preprocessor=folder / "preprocessor",
        model=model,
        epochs=epochs,
        config=TrainingConfig(**{**SETTINGS, **settings}),
    )
    return weights(model)


def die(folder: Path, model: Path, plan: list[tuple[str, float]], **settings: object) -> list[str]:
    command = [sys.executable, DEATHS, folder, model, json.dumps({**SETTINGS, **settings}), json.dumps(plan)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_a_model_is_the_same_after_twenty_deaths_at_random_points(prepared, tmp_path: Path) -> None:
    folder, chance = prepared(), random.Random(4)
    plan = [("after", chance.uniform(0.05, 0.3)) for _ in range(10)]
    plan += [("write", chance.randint(1, 30)) for _ in range(10)]
    chance.shuffle(plan)
    # Several times as much work as all attempts that die can do, however fast the machine is.
    long = {"epochs": 16, "patience": 16}
    told = die(folder, tmp_path / "model", plan, **long)
    assert sum("killed=True" in line for line in told) == 20
    assert told[-1] == "never killed=False code=0"
    resumed = [re.search(r"going on from the checkpoint at step (\d+) of epoch (\d+)", line) for line in told]
    places = {(int(found[2]), int(found[1])) for found in resumed if found}
    assert len(places) >= 8, told
    assert weights(tmp_path / "model") == fit(folder, tmp_path / "undisturbed", **long)
    assert learned(tmp_path / "model") == learned(tmp_path / "undisturbed")


def test_no_checkpoint_is_left_beside_a_finished_model(prepared, tmp_path: Path) -> None:
    fit(prepared(), tmp_path / "model", epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_streamed_model_is_the_same_after_deaths(prepared, regrouped, tmp_path: Path) -> None:
    folder = tmp_path / "splits"
    folder.mkdir()
    for name in ("validation", "preprocessor"):
        (folder / name).symlink_to(prepared() / name)
    (folder / "train").symlink_to(regrouped(prepared() / "train", 60))
    streamed = {"table_gigabytes": 1e-9, "shuffle_rows": 200}
    chance = random.Random(1)
    plan = [("write", chance.randint(5, 40)) for _ in range(5)]
    told = die(folder, tmp_path / "model", plan, **streamed)
    assert sum("killed=True" in line for line in told) == 5
    assert any("rows are streamed" in line for line in told)
    undisturbed = fit(folder, tmp_path / "undisturbed", **streamed)
    assert weights(tmp_path / "model") == undisturbed


def test_a_step_that_is_terminated_says_try_again_and_goes_on_then(prepared, tmp_path: Path) -> None:
    folder, model = prepared(), tmp_path / "model"
    command = [sys.executable, "-m", "ropewalk.training", "--train", folder / "train"]
    command += ["--validation", folder / "validation", "--preprocessor", folder / "preprocessor", "--model", model]
    command += ["--epochs", "40", "--width", "16", "--depth", "2", "--number-embedding", "4", "--batch-size", "16"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("epoch 2/40") for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 75
    assert re.search(r"told to stop \(SIGTERM\) in epoch \d+ of 40\. The last good checkpoint is that of step", told)
    assert not model.exists()
    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    assert re.search(r"^going on from the checkpoint at step \d+ of epoch \d+/40$", again.stdout, re.MULTILINE)
    assert weights(model) == fit(folder, tmp_path / "undisturbed", epochs=40, checkpoint_steps=None)


@pytest.mark.parametrize("epochs_before", [1, 2])
def test_a_death_between_the_last_step_of_an_epoch_and_its_scores_changes_no_history(
    epochs_before: int, prepared, tmp_path: Path, stop_after: Callable[[int], None]
) -> None:
    rows = json.loads((prepared() / "train" / "manifest.json").read_text())["facts"]["rows"]
    stop_after(epochs_before * math.ceil(rows / SETTINGS["batch_size"]))
    with pytest.raises(StoppedError):
        fit(prepared(), tmp_path / "model")
    assert fit(prepared(), tmp_path / "model") == fit(prepared(), tmp_path / "undisturbed")
    assert learned(tmp_path / "model") == learned(tmp_path / "undisturbed")


def test_another_seed_or_setting_does_not_adopt_a_checkpoint(
    prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str], stop_after: Callable[[int], None]
) -> None:
    place = str(tmp_path / "kept")
    stop_after(20)
    with pytest.raises(StoppedError):
        fit(prepared(), tmp_path / "model", checkpoint=place)
    fit(prepared(), tmp_path / "other", checkpoint=place, weight_decay=0.1)
    assert "going on" not in capsys.readouterr().out
    fit(prepared(), tmp_path / "same", checkpoint=place)
    assert "going on from the checkpoint at step 20 of epoch 1/6" in capsys.readouterr().out
    assert list((tmp_path / "kept").iterdir()) == []
