"""Training on a GPU: one graph per step, no waiting inside an epoch, exact resume."""

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

if not torch.cuda.is_available():
    pytest.skip("torch sees no GPU here", allow_module_level=True)

from ropewalk.errors import StoppedError
from ropewalk.training.config import TrainingConfig
from ropewalk.training.distributed import Group
from ropewalk.training.model import load_model
from ropewalk.training.optimizer import AdamW
from ropewalk.training.rows import Rows
from ropewalk.training.step import ReplayedStep, Step
from ropewalk.training.train import train

ALONE = Group(rank=0, world=1)
BATCH = 256


class Small(nn.Module):
    """Two layers over numbers and one embedding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(8, 4)
        self.layers = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        return self.layers(torch.cat([numbers_BN, self.table(codes_BC[:, 0])], dim=1)) + 0 * missing_BN[:, :1]


class ReadsBack(Small):
    """A network that cannot be captured, because it looks at a value."""

    def forward(self, numbers_BN: Tensor, missing_BN: Tensor, codes_BC: Tensor) -> Tensor:
        assert numbers_BN.abs().max().item() > 0
        return super().forward(numbers_BN, missing_BN, codes_BC)


@pytest.fixture
def rows() -> Rows:
    generator = torch.Generator("cuda").manual_seed(1)
    numbers_BN = torch.randn(4096, 5, device="cuda", generator=generator)
    codes_BC = torch.randint(0, 8, (4096, 1), device="cuda", generator=generator).int()
    return Rows((numbers_BN, torch.zeros_like(numbers_BN), codes_BC), (numbers_BN[:, 0] > 0).float())


def stepper(network: nn.Module, *, replayed: bool, clip: float | None = None) -> Step | ReplayedStep:
    optimizer = AdamW(network.parameters(), weight_decay=0.02)
    optimizer.rate.fill_(1e-2)
    precision = torch.float32
    step = Step(network, optimizer, task="binary", precision=precision, accumulate=1, clip=clip, group=ALONE)
    if not replayed:
        return step
    state = [*network.state_dict().values(), *optimizer.tensors.values()]
    return ReplayedStep(step, state=state, batch_size=BATCH, group=ALONE)


def passes(step: Step | ReplayedStep, rows: Rows) -> list[float]:
    losses = []
    for batch in torch.arange(len(rows) - 100, device="cuda").split(BATCH):
        losses.append(step(rows, batch, len(batch)).clone())
    return [float(loss) for loss in losses]


@pytest.mark.parametrize("clip", [None, 0.1])
def test_a_replayed_step_does_what_an_eager_one_does(rows: Rows, clip, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = Small().cuda(), Small().cuda()
    eager = passes(stepper(one, replayed=False, clip=clip), rows)
    assert passes(stepper(two, replayed=True, clip=clip), rows) == pytest.approx(eager, rel=1e-4)
    for expected, found in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert "no CUDA graph" not in capsys.readouterr().out


def test_a_network_that_cannot_be_captured_is_run_as_it_is_and_that_is_said(
    rows: Rows, capsys: pytest.CaptureFixture[str]
) -> None:
    eager = passes(stepper(ReadsBack().cuda(), replayed=False), rows)
    assert passes(stepper(ReadsBack().cuda(), replayed=True), rows) == pytest.approx(eager, rel=1e-4)
    assert "no CUDA graph: the network cannot be captured" in capsys.readouterr().out


def test_steps_do_not_wait_for_the_gpu(rows: Rows) -> None:
    step = stepper(Small().cuda(), replayed=True, clip=1.0)
    first = torch.arange(BATCH, device="cuda")
    step(rows, first, BATCH)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            step(rows, first, BATCH)
            step(rows, first[:100], 100)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def fit(folder: Path, model: Path, **settings: object) -> Path:
    config = {"width": 32, "depth": 2, "batch_size": 64, "device": "cuda", **settings}
    train(
        folder / "train",
        validation=folder / "validation",
        preprocessor=folder / "preprocessor",
        model=model,
        epochs=4,
        config=TrainingConfig(**config),
    )
    return model


def stop_in_the_last_step_of_the_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGTERM from the kernel's sixth call: 3 to warm up, 1 to capture, then each epoch's last batch is eager."""
    calls, kernel = itertools.count(1), torch._fused_adamw_

    def terminated(*arguments: Any, **named: Any) -> None:
        kernel(*arguments, **named)
        if next(calls) == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(torch, "_fused_adamw_", terminated)


@pytest.mark.parametrize("streamed", [{}, {"table_gigabytes": 1e-9}])
def test_training_that_was_stopped_ends_with_the_same_model(
    fitted: Callable[[str], Path], tmp_path: Path, monkeypatch, streamed: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fitted("binary")
    expected = fit(folder, tmp_path / "undisturbed", **streamed)
    stop_in_the_last_step_of_the_second_epoch(monkeypatch)
    with pytest.raises(StoppedError):
        fit(folder, tmp_path / "model", **streamed)
    model = fit(folder, tmp_path / "model", **streamed)
    assert "going on from the checkpoint" in capsys.readouterr().out
    assert (model / "weights.safetensors").read_bytes() == (expected / "weights.safetensors").read_bytes()


def test_a_gpu_learns_what_a_processor_learns(fitted: Callable[[str], Path], tmp_path: Path) -> None:
    scores = [
        load_model(fit(fitted("binary"), tmp_path / device, device=device)).history[-1]["validation_roc_auc"]
        for device in ("cpu", "cuda")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
