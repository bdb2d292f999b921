"""The losses of an epoch's steps: they stay on the device until someone is to be told, or something must be kept."""

from contextlib import closing

import torch
from torch import Tensor

from ropewalk.training.config import TrainingConfig
from ropewalk.training.distributed import Group
from ropewalk.training.failures import not_finite
from ropewalk.training.schedule import batch_size_for
from ropewalk.training.tables import Table, batch_sizes, batches


class EpochLosses:
    """One loss per step of the epoch at hand."""

    def __init__(
        self, table: Table, *, seed: int, steps: int, device: torch.device, group: Group, config: TrainingConfig
    ) -> None:
        """Make room for epochs of up to so many `steps`."""
        self._table, self._seed, self._device, self._group, self._config = table, seed, device, group, config
        self._batch_size = batch_size_for(len(table), config)
        self.tensor = torch.zeros(steps, device=device)
        """Mean loss of each step's rows; shape (steps,), on the device."""

    def read(self, epoch: int, steps: int, *, checkpoint: str) -> Tensor:
        """Return the losses of the first `steps` steps of `epoch`: the one wait for a GPU between two reports.

        Raises:
            TrainingError: One is no finite number; names the first, and the `checkpoint`.
        """
        losses = self.tensor[:steps].cpu()
        strange = (~losses.isfinite()).nonzero()
        if not len(strange):
            return losses
        step = int(strange[0])
        again = batches(
            self._table,
            seed=self._seed,
            epoch=epoch,
            batch_size=self._batch_size,
            first=step,
            device=self._device,
            group=self._group,
        )
        with closing(again):
            rows, share, _ = next(again)
            raise not_finite(
                float(losses[step]),
                step=step + 1,
                epoch=epoch,
                rows=rows,
                batch=share,
                config=self._config,
                checkpoint=checkpoint,
            )

    def mean(self, losses: Tensor, epoch: int) -> tuple[float, int]:
        """Return the mean loss per row of the steps that `losses` are of, and how many rows they saw."""
        counts = torch.tensor(self._counts(epoch)[: len(losses)], dtype=torch.float64)
        return float(losses.double() @ counts / counts.sum()), int(counts.sum())

    def rows(self, epoch: int, first: int, last: int) -> int:
        """Return how many rows the steps from `first` to before `last` of `epoch` have."""
        return sum(self._counts(epoch)[first:last])

    def _counts(self, epoch: int) -> list[int]:
        return batch_sizes(self._table, epoch=epoch, batch_size=self._batch_size)
