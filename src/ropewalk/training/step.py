"""One optimiser step: launched operation by operation, or on a GPU replayed as one CUDA graph.

torch.compile is not used: on a processor it took half a minute or more before the first step, for 1.1 to 1.3 times the
speed in bfloat16 and none in float32.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ropewalk.progress import say
from ropewalk.training.distributed import Group
from ropewalk.training.metrics import loss_function
from ropewalk.training.optimizer import AdamW
from ropewalk.training.rows import Rows

_WARM_UPS = 3
"""Steps before a capture: kernels are chosen and workspaces allocated in the first ones."""


class Step:
    """Gathers a batch, computes loss and gradient, and moves the parameters; reads nothing back from the device."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: AdamW,
        *,
        task: str,
        precision: torch.dtype,
        accumulate: int,
        clip: float | None,
        group: Group,
    ) -> None:
        self._network = network
        self._optimizer = optimizer
        self._task = task
        self._precision = precision
        self._accumulate = accumulate
        self._clip = clip
        self._group = group

    def __call__(self, rows: Rows, share: Tensor, batch_rows: int) -> Tensor:
        """Take one step and return the batch's mean loss, a scalar on the device.

        Args:
            rows: The shard.
            share: Indices of this process's rows of the batch, int64.
            batch_rows: Rows of the batch over all processes.
        """
        for parameter in self._optimizer.parameters:
            parameter.grad = None
        # A process without a row of a small last batch computes one for nothing, since all must exchange gradients.
        parts = share.chunk(self._accumulate) if len(share) else (share.new_zeros(1),)
        losses = [self._backward(rows, part, len(part) * bool(len(share)) / batch_rows) for part in parts]
        loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        gradients = [each.grad for each in self._optimizer.parameters if each.grad is not None]
        self._group.add([*gradients, loss])
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self._optimizer.parameters, self._clip)
        self._optimizer.step()
        return loss

    def _backward(self, rows: Rows, part: Tensor, weight: float) -> Tensor:
        """Add the gradient of `weight` times the part's mean loss, and return that loss."""
        # Without the cache: a graph must hold the casts, and each parameter is cast once in a pass anyway.
        mixed = torch.autocast(
            part.device.type,
            dtype=self._precision,
            enabled=self._precision != torch.float32,
            cache_enabled=part.device.type != "cuda",
        )
        with mixed:
            outputs = self._network(*(each.index_select(0, part) for each in rows.inputs))
        row_weight = None if rows.weight is None else rows.weight.index_select(0, part)
        loss = loss_function(outputs.float(), rows.target.index_select(0, part), self._task, row_weight)
        if weight != 1:
            loss = loss * weight
        loss.backward()
        return loss.detach()


class ReplayedStep:
    """A step that is captured at its first whole batch and replayed then, as one launch.

    A module that cannot be captured (it reads values back, or its shapes depend on them) is run as it is, and that is
    said. The shards' rows must stay at the same addresses.
    """

    def __init__(self, step: Step, *, state: Iterable[Tensor], batch_size: int, group: Group) -> None:
        """Prepare to capture `step`; `state` is every tensor that it changes."""
        self._step = step
        self._state = list(state)
        self._batch_size = batch_size
        self._group = group
        self._graph: torch.cuda.CUDAGraph | None = None
        self._tried = False
        self._share = torch.empty(0, dtype=torch.int64)
        self._loss = torch.empty(0)

    def __call__(self, rows: Rows, share: Tensor, batch_rows: int) -> Tensor:
        """Do as `Step` does."""
        if batch_rows == self._batch_size and not self._tried:
            self._tried = True
            self._capture(rows, share)
        if batch_rows != self._batch_size or self._graph is None:
            return self._step(rows, share, batch_rows)
        self._share.copy_(share)
        self._graph.replay()
        return self._loss

    def _capture(self, rows: Rows, share: Tensor) -> None:
        before = [tensor.clone() for tensor in self._state]
        random = torch.cuda.get_rng_state(share.device)
        self._share = share.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            stream = torch.cuda.Stream(share.device)
            stream.wait_stream(torch.cuda.current_stream(share.device))
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    self._step(rows, self._share, self._batch_size)
            torch.cuda.current_stream(share.device).wait_stream(stream)
            with torch.cuda.graph(graph):
                self._loss = self._step(rows, self._share, self._batch_size)
            self._graph = graph
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if self._group.leads:
                reason = str(error).splitlines()[0]
                say(f"no CUDA graph: the network cannot be captured ({reason}); its operations are launched one by one")
        torch.cuda.synchronize(share.device)
        with torch.no_grad():
            for tensor, value in zip(self._state, before, strict=True):
                tensor.copy_(value)
        torch.cuda.set_rng_state(random, share.device)
