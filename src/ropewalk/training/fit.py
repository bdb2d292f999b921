"""The training loop: batches are gathered where the table lives, and nothing is read back before an epoch ends.

Shape suffixes: B rows, N numbers, C category columns.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ropewalk.errors import TrainingError
from ropewalk.preprocess.preprocessor import Encoded
from ropewalk.progress import say
from ropewalk.training.config import TrainingConfig
from ropewalk.training.metrics import SCORES, combine_members, loss_function, preference, validation_score

SCORING_ROWS = 8192
"""Rows per forward pass outside training: bounds memory, and large enough to keep a processor busy."""
_AIM_STEPS = 2000
_EPOCHS = (8, 200)


@dataclass(frozen=True)
class Rows:
    """Encoded rows with their target, on the device that computes."""

    inputs: tuple[Tensor, Tensor, Tensor]
    """numbers_BN and missing_BN (float32) and codes_BC (int32)."""
    target: Tensor
    """Class index (int64), 0 or 1 (float32, binary), or scaled value (float32, regression); shape (rows,)."""
    weight: Tensor | None = None
    """Each row's weight in loss and score (float32), 1 on average; shape (rows,); absent: all weigh the same."""

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Fit:
    """What training left behind."""

    state: dict[str, Tensor]
    """Averaged parameters of the best epoch."""
    best_epoch: int
    """1 or more."""
    history: list[dict[str, Any]]
    """Per epoch: epoch, train_loss, validation_loss, validation_<score>, learning_rate, rows_per_second, seconds."""


def rows_on(device: torch.device, encoded: Encoded, target: Tensor, weight: Tensor | None = None) -> Rows:
    """Return encoded rows, their target and weights as tensors on `device`."""
    arrays = (encoded.numbers_BN, encoded.missing_BN, encoded.codes_BC)
    numbers_BN, missing_BN, codes_BC = (torch.from_numpy(array).to(device) for array in arrays)
    return Rows((numbers_BN, missing_BN, codes_BC), target.to(device), None if weight is None else weight.to(device))


def batch_size_for(rows: int, config: TrainingConfig) -> int:
    """Return the rows per step: as configured, or 1,024, less on small tables so that an epoch has 16 steps or more."""
    return min(config.batch_size or max(16, min(1024, rows // 16)), rows)


def epochs_for(rows: int, batch_size: int) -> int:
    """Return how many epochs a table of this size calls for: about 2,000 steps in all, 8 to 200 epochs."""
    least, most = _EPOCHS
    return max(least, min(most, math.ceil(_AIM_STEPS * batch_size / rows)))


def fit(
    network: nn.Module,
    train: Rows,
    validation: Rows,
    *,
    task: str,
    epochs: int,
    scale: float,
    precision: torch.dtype,
    config: TrainingConfig,
) -> Fit:
    """Train `network` and return the parameters of its best epoch on `validation`.

    AdamW (Loshchilov and Hutter, arXiv 1711.05101) with linear warm-up and cosine decay; what is scored and kept is
    a moving average of the parameters over about the last epoch. The best epoch has the
    best validation score (see SCORES), the lower loss where scores tie.

    Args:
        network: Takes (numbers_BN, missing_BN, codes_BC); on the device of `train`.
        train: Rows to learn from.
        validation: Rows that choose the best epoch.
        task: "binary", "multiclass" or "regression".
        epochs: Most passes over `train`.
        scale: The regression target's standard deviation, which turns losses into its own unit.
        precision: Type of matrix products.
        config: Optimiser settings, batch size and patience.

    Raises:
        TrainingError: The loss is no finite number.
    """
    batch_size = batch_size_for(len(train), config)
    steps = epochs * math.ceil(len(train) / batch_size)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, config.warmup))
    averaged = AveragedModel(network, avg_fn=_averaging(math.ceil(len(train) / batch_size)))
    patience = config.patience or max(3, epochs // 4)
    best_key, best_epoch, best_state = None, 0, network.state_dict()
    history: list[dict[str, Any]] = []
    started = time.monotonic()
    for epoch in range(1, epochs + 1):
        epoch_started = time.monotonic()
        train_loss = _train_epoch(network, averaged, train, optimizer, schedule, batch_size, precision, task)
        _check_finite(train_loss, epoch, config)
        seconds = time.monotonic() - epoch_started
        scored = score(averaged.module, validation, task)
        loss_value = float(loss_function(scored, validation.target, task, validation.weight))
        measure = validation_score(scored, validation.target, task, loss_value, scale, validation.weight)
        history.append(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "validation_loss": loss_value,
                f"validation_{SCORES[task]}": measure,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "rows_per_second": len(train) / seconds,
                "seconds": time.monotonic() - started,
            }
        )
        key = preference(task, measure, loss_value)
        if best_key is None or key > best_key:
            best_key, best_epoch, best_state = key, epoch, copy.deepcopy(averaged.module.state_dict())
        _report(history[-1], epochs, SCORES[task], best=best_epoch == epoch)
        if epoch - best_epoch >= patience:
            say(f"stopped: no better epoch than {best_epoch} in the last {patience}")
            break
    return Fit(best_state, best_epoch, history)


def _train_epoch(
    network: nn.Module,
    averaged: AveragedModel,
    train: Rows,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batch_size: int,
    precision: torch.dtype,
    task: str,
) -> float:
    """Pass once over all rows in a new order, and return the mean loss."""
    device = train.target.device
    network.train()
    total = torch.zeros((), device=device)
    for batch in torch.randperm(len(train), device=device).split(batch_size):
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            outputs = network(*(part[batch] for part in train.inputs))
        weight = None if train.weight is None else train.weight[batch]
        loss = loss_function(outputs.float(), train.target[batch], task, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        total += loss.detach() * len(batch)
    return float(total) / len(train)


def score(network: nn.Module, rows: Rows, task: str) -> Tensor:
    """Return the outputs for all rows in float32, shape (rows, outputs); an ensemble's members are combined."""
    network.eval()
    with torch.inference_mode():
        chunks = zip(*(part.split(SCORING_ROWS) for part in rows.inputs), strict=True)
        return torch.cat([combine_members(network(*chunk).float(), task) for chunk in chunks])


def _averaging(steps: int) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return the moving average of parameters over about `steps` steps, over fewer at the start.

    Averages generalise better than the last step's parameters (Polyak and Juditsky 1992; Izmailov et al.,
    arXiv 1803.05407), and differ less from seed to seed.
    """

    def average(averaged: Tensor, current: Tensor, seen: Tensor | int) -> Tensor:
        decay = min(1 - 1 / steps, (1 + int(seen)) / (10 + int(seen)))
        return torch.lerp(current, averaged, decay)

    return average


def _rate(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak learning rate at `step`."""
    warm = max(1, round(steps * warmup))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _check_finite(loss: float, epoch: int, config: TrainingConfig) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"The training loss became {loss} in epoch {epoch}: lower training.learning_rate (now "
            f"{config.learning_rate}), and look for extreme values in the validation report."
        )


def _report(entry: dict[str, Any], epochs: int, score_name: str, *, best: bool) -> None:
    left = entry["seconds"] / entry["epoch"] * (epochs - entry["epoch"])
    say(
        f"epoch {entry['epoch']}/{epochs}  train loss {entry['train_loss']:.4f}  "
        f"validation loss {entry['validation_loss']:.4f}  "
        f"{score_name} {entry[f'validation_{score_name}']:.4f}{' (best)' if best else ''}  "
        f"{entry['rows_per_second']:,.0f} rows/s  at most {left:.0f} s left"
    )
