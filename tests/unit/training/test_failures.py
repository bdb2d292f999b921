"""What ends training early says where it stood and what to change."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ropewalk.artifacts import SPLIT, read_artifact
from ropewalk.errors import StoppedError, TrainingError
from ropewalk.preprocess.preprocessor import load_preprocessor
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model
from ropewalk.training.parts import Parts
from ropewalk.training.tables import batches, load_table
from ropewalk.training.train import train

SMALL: dict[str, Any] = {"width": 16, "depth": 2, "number_embedding": 4, "batch_size": 64}


@pytest.fixture
def fit(prepared, tmp_path: Path) -> Callable[..., Path]:
    def run(task: str = "binary", *, epochs: int = 3, curves: Path | None = None, **settings: Any) -> Path:
        folder = prepared(task)
        train(
            folder / "train",
            validation=folder / "validation",
            preprocessor=folder / "preprocessor",
            model=tmp_path / "model",
            curves=curves,
            epochs=epochs,
            config=TrainingConfig(**{**SMALL, **settings}),
        )
        return tmp_path / "model"

    return run


def diverge_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the parameters become infinite in the so-manieth step, as a gradient that explodes makes them."""
    kernel, seen = torch._fused_adamw_, []

    def exploding(parameters: list, *arguments: Any, **named: Any) -> None:
        kernel(parameters, *arguments, **named)
        seen.append(1)
        if len(seen) == steps:
            parameters[-1].fill_(float("inf"))

    monkeypatch.setattr(torch, "_fused_adamw_", exploding)


def test_a_loss_that_is_no_number_names_step_batch_and_checkpoint(fit, monkeypatch, tmp_path: Path) -> None:
    diverge_after(25, monkeypatch)
    with pytest.raises(TrainingError) as caught:
        fit("regression", checkpoint_steps=10, checkpoint=str(tmp_path / "kept"))
    told = str(caught.value)
    place = re.search(r"became (nan|inf) at step (\d+) of epoch 2\. The step's 64 rows hold ", told)
    assert place
    assert 8 <= int(place[2]) <= 10
    assert re.search(r"numbers \(scaled\) from -\d\S* to \d\S* with mean -?\d", told)
    assert re.search(r"a target from -\d\S* to \d\S* with mean -?\d", told)
    assert "The last good checkpoint is that of step 20 in " + str(tmp_path / "kept") in told


@pytest.mark.parametrize("streamed", [{}, {"table_gigabytes": 1e-9}])
def test_the_batch_that_is_described_is_the_one_that_failed(fit, prepared, monkeypatch, streamed: dict) -> None:
    folder = prepared("regression")
    parts = Parts(folder / "train", load_preprocessor(folder / "preprocessor"))
    table = load_table(parts, parts.learn_labels(TrainingConfig()), torch.device("cpu"))
    eighth = batches(table, seed=0, epoch=1, batch_size=64, first=7, device=torch.device("cpu"))
    rows, batch, _ = next(eighth)
    diverge_after(7, monkeypatch)
    with pytest.raises(TrainingError) as caught:
        fit("regression", **streamed)
    assert "at step 8 of epoch 1" in str(caught.value)
    assert f"a target from {rows.target[batch].min():.4g} to {rows.target[batch].max():.4g}" in str(caught.value)


def test_an_epoch_whose_last_step_diverges_is_noticed_when_it_is_scored(fit, prepared, monkeypatch) -> None:
    rows = read_artifact(prepared("regression") / "train", SPLIT).facts["rows"]
    diverge_after(2 * math.ceil(rows / 64), monkeypatch)
    with pytest.raises(TrainingError, match=r"The validation loss became (nan|inf) after epoch 2, whose training"):
        fit("regression")


def test_training_that_diverged_writes_no_model_and_keeps_no_bad_checkpoint(fit, monkeypatch, tmp_path: Path) -> None:
    diverge_after(5, monkeypatch)
    with pytest.raises(TrainingError, match="No checkpoint had been written yet"):
        fit(checkpoint_steps=8, checkpoint=str(tmp_path / "kept"))
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "kept").exists()


def test_the_curves_of_failed_training_are_written_when_an_epoch_had_ended(fit, monkeypatch, tmp_path: Path) -> None:
    diverge_after(25, monkeypatch)
    with pytest.raises(TrainingError):
        fit(curves=tmp_path / "curves.html")
    page = (tmp_path / "curves.html").read_text()
    assert "Training did not end well" in page
    assert "of epoch 2. The step" in page


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError("malloc of size 8 failed"),
    ],
)
def test_too_little_memory_says_what_to_lower(fit, monkeypatch, error: Exception) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(torch, "_fused_adamw_", failing)
    with pytest.raises(TrainingError, match=r"Out of memory: .* Lower training\.batch_size \(now 64\).*accumulate"):
        fit()


def test_a_batch_too_large_for_main_memory_says_what_to_lower(fit) -> None:
    with pytest.raises(TrainingError, match=r"Out of memory: .*DefaultCPUAllocator"):
        fit(width=30_000_000)


def test_another_error_is_passed_on(fit, monkeypatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(torch, "_fused_adamw_", failing)
    with pytest.raises(RuntimeError, match="a bug"):
        fit()


def test_a_time_budget_ends_training_with_the_best_so_far(fit, capsys: pytest.CaptureFixture[str]) -> None:
    model = load_model(fit(epochs=100_000, max_seconds=0.5))
    assert 1 <= len(model.history) < 100_000
    told = capsys.readouterr().out
    assert re.search(r"stopped: training\.max_seconds=0\.5 have passed in epoch \d+ of 100000; the best so far", told)
    assert model.history[-1]["seconds"] < 5


def test_a_time_budget_shorter_than_an_epoch_still_gives_a_model(fit) -> None:
    model = load_model(fit(max_seconds=1e-9))
    assert [entry["rows"] for entry in model.history] == [64]


def test_a_time_budget_counts_earlier_attempts(fit, stop_after, tmp_path: Path) -> None:
    stop_after(20)
    with pytest.raises(StoppedError):
        fit(checkpoint=str(tmp_path / "kept"))
    # The same training, whose budget was used up by the first attempt: one more step, and it ends.
    model = load_model(fit(checkpoint=str(tmp_path / "kept"), max_seconds=1e-9))
    assert len(model.history) == 2
    assert model.history[1]["rows"] < model.history[0]["rows"]


def test_parts_of_a_step_add_up_to_the_step(fit) -> None:
    still = {"dropout": 0, "unknown_rate": 0}
    one = load_model(fit(**still)).history
    three = load_model(fit(**still, accumulate=3)).history
    for entry, expected in zip(three, one, strict=True):
        assert entry["train_loss"] == pytest.approx(expected["train_loss"], abs=1e-4)


def test_a_clipped_gradient_gives_another_model_and_a_wide_limit_the_same(fit) -> None:
    weights = []
    for clip in (None, 1e6, 1e-3):
        weights.append((fit(clip=clip, weight_decay=0) / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_long_epochs_report_in_between(fit, capsys: pytest.CaptureFixture[str]) -> None:
    fit(epochs=1, log_seconds=1e-9)
    lines = [line for line in capsys.readouterr().out.splitlines() if re.match(r"epoch 1/1  \d+ %", line)]
    assert len(lines) >= 10
    assert re.search(r"train loss \d\.\d+  [\d,]+ rows/s  at most \d+ s left$", lines[3])


def test_the_history_has_what_the_machine_did(fit) -> None:
    entry = load_model(fit(epochs=1)).history[0]
    assert 0 <= entry["system/cpu_utilization_percentage"] <= 100
    assert entry["system/process_memory_megabytes"] > 50
    assert np.isfinite(entry["rows_per_second"])


def test_checkpoints_lie_where_the_environment_says_unless_the_settings_do(
    fit, stop_after, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROPEWALK_CHECKPOINTS", str(tmp_path / "environment"))
    stop_after(5)
    with pytest.raises(StoppedError):
        fit()
    assert len(list((tmp_path / "environment").iterdir())) == 1
    monkeypatch.undo()
    fit(checkpoint=str(tmp_path / "environment"))
    assert list((tmp_path / "environment").iterdir()) == []
