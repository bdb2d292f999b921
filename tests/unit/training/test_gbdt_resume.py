"""Boosting that is killed or stopped ends with the same trees, bit by bit, as boosting that is not."""

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xgboost

from ropewalk.errors import StoppedError
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.preprocess.splits import open_split
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model
from ropewalk.training.train import train

DEATHS = Path(__file__).with_name("deaths.py")
SETTINGS = {"architecture": "gbdt", "boosting_leaves": 8, "checkpoint_steps": 5}


def fit(folder: Path, model: Path, *, epochs: int, split: Path | None = None, **settings: Any) -> bytes:
    train(
        split or folder / "train",
        validation=folder / "validation",
        preprocessor=folder / "preprocessor",
        model=model,
        epochs=epochs,
        config=TrainingConfig(**{**SETTINGS, **settings}),
    )
    return trees(model)


def trees(model: Path) -> bytes:
    return (model / "trees.json").read_bytes()


def scores(model: Path) -> list[dict]:
    timed = ("seconds", "rows_per_second")
    entries = load_model(model).history
    return [{name: value for name, value in entry.items() if name not in timed} for entry in entries]


@pytest.fixture
def stop_in_round(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that has this process get SIGTERM in the so-manieth round from now."""

    def arrange(rounds: int) -> None:
        left, update = itertools.count(1), xgboost.Booster.update

        def terminated(*arguments: Any) -> None:
            update(*arguments)
            if next(left) == rounds:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(xgboost.Booster, "update", terminated)

    return arrange


def test_trees_are_the_same_after_twenty_deaths_at_random_points(prepared, tmp_path: Path) -> None:
    folder, chance = prepared(), random.Random(2)
    plan = [("after", chance.uniform(0.05, 0.3)) for _ in range(10)]
    plan += [("write", chance.randint(1, 30)) for _ in range(10)]
    chance.shuffle(plan)
    settings = {**SETTINGS, "epochs": 800, "patience": 800}
    command = [sys.executable, DEATHS, folder, tmp_path / "model", json.dumps(settings), json.dumps(plan)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    told = ended.stdout.splitlines()
    assert sum("killed=True" in line for line in told) == 20
    assert told[-1] == "never killed=False code=0"
    resumed = [re.search(r"going on from the checkpoint at round (\d+)", line) for line in told]
    places = {int(found[1]) for found in resumed if found}
    assert len(places) >= 8, told
    assert trees(tmp_path / "model") == fit(folder, tmp_path / "undisturbed", epochs=800, patience=800)
    assert scores(tmp_path / "model") == scores(tmp_path / "undisturbed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "undisturbed"]


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_patience_goes_on_where_it_was(
    task: str, prepared, tmp_path: Path, stop_in_round: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, patient = prepared(task), {"patience": 9, "boosting_rate": 0.5}
    expected = fit(folder, tmp_path / "undisturbed", epochs=0, **patient)
    rounds = len(scores(tmp_path / "undisturbed"))
    capsys.readouterr()
    # In the midst of the rounds that are no better than the best.
    stop_in_round(rounds - 4)
    with pytest.raises(StoppedError, match=rf"\(SIGTERM\) after round {rounds - 4} of 1000\. The last good checkpoint"):
        fit(folder, tmp_path / "model", epochs=0, **patient)
    assert not (tmp_path / "model").exists()
    assert fit(folder, tmp_path / "model", epochs=0, **patient) == expected
    assert f"going on from the checkpoint at round {rounds - 4}/1000" in capsys.readouterr().out
    assert scores(tmp_path / "model") == scores(tmp_path / "undisturbed")


def test_a_step_that_is_terminated_says_try_again(prepared, tmp_path: Path) -> None:
    folder = prepared()
    command = [sys.executable, "-m", "ropewalk.training", "--architecture", "gbdt", "--epochs", "100000"]
    command += ["--patience", "100000", "--model", str(tmp_path / "model"), "--train", str(folder / "train")]
    command += ["--validation", str(folder / "validation"), "--preprocessor", str(folder / "preprocessor")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("round 1/") for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "run the same step again, and it goes on from there" in told


def test_another_rate_does_not_adopt_a_checkpoint(
    prepared, tmp_path: Path, stop_in_round: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "kept")
    stop_in_round(7)
    with pytest.raises(StoppedError):
        fit(prepared(), tmp_path / "model", epochs=12, checkpoint=place)
    fit(prepared(), tmp_path / "other", epochs=12, checkpoint=place, boosting_rate=0.2)
    assert "going on" not in capsys.readouterr().out
    fit(prepared(), tmp_path / "same", epochs=12, checkpoint=place)
    assert "going on from the checkpoint at round 7/12" in capsys.readouterr().out


def test_a_time_budget_ends_boosting_with_the_best_round(prepared, tmp_path: Path, capsys) -> None:
    fit(prepared(), tmp_path / "model", epochs=100_000, patience=100_000, max_seconds=0.3)
    rounds = len(load_model(tmp_path / "model").history)
    assert 1 <= rounds < 100_000
    assert "stopped: training.max_seconds=0.3 have passed; the best so far, round" in capsys.readouterr().out


def test_one_row_group_is_in_memory_at_a_time(prepared, regrouped, tmp_path: Path, monkeypatch) -> None:
    folder, seen, encode = prepared(), [], Preprocessor.encode

    def counting(preprocessor: Preprocessor, table: Any) -> Any:
        seen.append(table.num_rows)
        return encode(preprocessor, table)

    monkeypatch.setattr(Preprocessor, "encode", counting)
    small = regrouped(folder / "train", 100)
    fit(folder, tmp_path / "model", epochs=20, split=small)
    # The training split comes in groups of 100 rows, twice or more; the validation split is one group.
    assert seen.count(100) >= 2 * 10
    assert max(seen) == open_split(folder / "validation").rows
    assert load_model(tmp_path / "model").history[-1]["validation_roc_auc"] > 0.85
