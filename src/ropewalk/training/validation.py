"""Validation: loss and score of a network on rows that it does not learn from; several processes share the rows."""

import json
from itertools import pairwise

import torch
from torch import Tensor, nn

from ropewalk.training.distributed import ALONE, Group
from ropewalk.training.metrics import loss_function, validation_score
from ropewalk.training.rows import joined, score
from ropewalk.training.task import Task


class Validation:
    """Scores networks on the validation rows of a task; all processes of the group must do so together."""

    def __init__(self, task: Task, group: Group) -> None:
        """Share the rows out: each process has as many that follow each other, to within one."""
        self._task, self._group = task, group
        rows = len(task.validation)
        # Of fewer rows than processes everyone takes all: a network may not know what to do with none.
        self._sharing = group if rows >= group.world else ALONE
        edges = [rows * process // self._sharing.world for process in range(self._sharing.world + 1)]
        self._counts = [last - first for first, last in pairwise(edges)]
        self._first, self._last = edges[self._sharing.rank], edges[self._sharing.rank + 1]
        self._labels: tuple[Tensor, Tensor | None] | None = None

    def score(self, network: nn.Module) -> tuple[float, float]:
        """Return loss and score (see SCORES), the same in every process: as rank 0 finds them on all rows."""
        kind, outputs, labels = self._task.kind, [], []
        for rows in self._task.validation.in_order(self._first, self._last):
            outputs.append(score(network, rows, kind))
            if self._labels is None:
                labels.append((rows.target.clone(), None if rows.weight is None else rows.weight.clone()))
        if self._labels is None:
            target, weight = joined(labels)
            self._labels = self._gathered(target), None if weight is None else self._gathered(weight)
        found = self._figures(self._gathered(torch.cat(outputs)))
        loss, measure = json.loads(self._group.leaders(json.dumps(found).encode()))
        return float(loss), float(measure)

    def _figures(self, outputs: Tensor) -> tuple[float, float]:
        if not self._group.leads:
            return 0.0, 0.0
        assert self._labels is not None
        task, (target, weight) = self._task, self._labels
        loss = float(loss_function(outputs, target, task.kind, weight))
        return loss, validation_score(outputs, target, task.kind, loss, task.scale, weight)

    def _gathered(self, own: Tensor) -> Tensor:
        """Return what all processes have for their rows, in the rows' order."""
        if self._sharing.world == 1:
            return own
        padded = torch.zeros((max(self._counts), *own.shape[1:]), dtype=own.dtype)
        padded[: len(own)] = own
        parts = self._sharing.collect(padded)
        return torch.cat([part[:count] for part, count in zip(parts, self._counts, strict=True)]).to(own.device)
