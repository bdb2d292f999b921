"""The training loop: batches are gathered where the table lives, and nothing is read back before it is due.

What is due: a progress line or a checkpoint every few seconds, and the end of an epoch.
"""

import copy
import math
import time
from contextlib import closing
from typing import Any

import torch
from torch import Tensor, nn

from ropewalk.errors import StoppedError
from ropewalk.metric_lines import report_to_tuner
from ropewalk.progress import say
from ropewalk.training.averaging import Average
from ropewalk.training.checkpoint import Checkpoints, Saved
from ropewalk.training.config import TrainingConfig
from ropewalk.training.distributed import Group
from ropewalk.training.epoch_losses import EpochLosses
from ropewalk.training.failures import not_finite_after
from ropewalk.training.metrics import SCORES, preference
from ropewalk.training.optimizer import AdamW
from ropewalk.training.place import Place, copied, random_states, restore_random_states
from ropewalk.training.progress import Progress
from ropewalk.training.schedule import batch_size_for, rate
from ropewalk.training.step import ReplayedStep, Step
from ropewalk.training.stopping import StopFlag, listening
from ropewalk.training.system import SystemMonitor, gpu_words
from ropewalk.training.tables import batches, steps_in
from ropewalk.training.task import Fit, Task
from ropewalk.training.validation import Validation

_AGREE_EVERY = 16
"""Steps after which processes agree on stopping and keeping; one process need not wait."""


def fit(
    network: nn.Module,
    task: Task,
    *,
    config: TrainingConfig,
    checkpoints: Checkpoints,
    group: Group,
    history: list[dict[str, Any]],
) -> Fit:
    """Train `network` and return the parameters of its best epoch on the validation rows.

    AdamW with linear warm-up and cosine decay; what is scored and kept is a moving average of the parameters over
    about the last epoch. The best epoch has the best validation score (see SCORES), the lower loss where scores tie.
    Training that was stopped goes on at its last checkpoint, and ends with the same parameters, bit by bit, on the
    same kind of machine.

    Args:
        network: Takes (numbers_BN, missing_BN, codes_BC); on the device that computes.
        task: What to learn.
        config: Optimiser settings, batch size, patience and limits.
        checkpoints: Where the state is kept meanwhile.
        group: The processes that train together.
        history: Filled epoch by epoch; what it holds when an error ends training is what had been reached.

    Raises:
        TrainingError: The loss is no finite number, or another process has gone.
        StoppedError: SIGTERM came; the state is kept, and the same call goes on.
    """
    with listening() as stop:
        return _Loop(network, task, config, checkpoints, group, history, stop).run()


class _Loop:
    """The state of one training and what happens to it."""

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        config: TrainingConfig,
        checkpoints: Checkpoints,
        group: Group,
        history: list[dict[str, Any]],
        stop: StopFlag,
    ) -> None:
        self._network, self._task, self._config = network, task, config
        self._checkpoints, self._group, self._stop = checkpoints, group, stop
        self._history = history
        self._batch_size = batch_size_for(len(task.train), config)
        self._steps = [steps_in(task.train, epoch, self._batch_size) for epoch in range(1, task.epochs + 1)]
        self._optimizer = AdamW(network.parameters(), weight_decay=config.weight_decay)
        self._device = self._optimizer.rate.device
        self._average = Average(network, steps_per_epoch=self._steps[0])
        self._losses = EpochLosses(
            task.train, seed=task.seed, steps=max(self._steps), device=self._device, group=group, config=config
        )
        self._step = self._choose_step()
        self._best: dict[str, Tensor] = {}
        self._at = Place()
        self._validation = Validation(task, group)
        self._monitor = SystemMonitor(self._device)
        self._progress = Progress(
            leads=group.leads,
            epochs=task.epochs,
            steps=self._steps,
            score=SCORES[task.kind],
            log_seconds=config.log_seconds,
        )

    def run(self) -> Fit:
        self._resume()
        self._progress.start(self._at.done)
        self._started = time.monotonic()
        self._next_save = self._started + self._config.checkpoint_seconds
        self._deadline = self._started + (self._config.max_seconds or math.inf) - self._at.seconds
        late = False
        while self._at.epoch <= self._task.epochs and not self._has_peaked() and not late:
            late = not self._train()
            self._score()
        self._tell_end(late=late)
        return Fit(self._best, self._at.best_epoch, self._history)

    def _choose_step(self) -> Step | ReplayedStep:
        step = Step(
            self._network,
            self._optimizer,
            task=self._task.kind,
            precision=self._task.precision,
            accumulate=self._config.accumulate,
            clip=self._config.clip,
            group=self._group,
        )
        shares_vary = self._task.train.places(1, 0) is not None
        if self._device.type == "cuda" and shares_vary and self._group.leads:
            say("no CUDA graph: each process has row groups of its own, and more or fewer rows of each batch")
        if self._device.type != "cuda" or shares_vary:
            return step
        state = [*self._network.state_dict().values(), *self._optimizer.tensors.values()]
        return ReplayedStep(step, state=state, batch_size=self._batch_size, group=self._group)

    def _train(self) -> bool:
        """Take the steps of this epoch that are still to be taken; returns whether there is time for another epoch."""
        self._network.train()
        at = self._at
        self._epoch_began, self._began_at = time.monotonic(), at.step
        shards = batches(
            self._task.train,
            seed=self._task.seed,
            epoch=at.epoch,
            batch_size=self._batch_size,
            first=at.step,
            device=self._device,
            group=self._group,
        )
        with closing(shards):
            for rows, share, count in shards:
                self._set_rate(at.done)
                loss = self._step(rows, share, count)
                self._losses.tensor[at.step] = loss
                at.step += 1
                at.done += 1
                self._average.update(at.done)
                if not self._goes_on():
                    return False
        return True

    def _set_rate(self, done: int) -> None:
        """Set the learning rate of the step that comes after `done` steps."""
        self._optimizer.rate.fill_(self._config.learning_rate * rate(done, sum(self._steps), self._config.warmup))

    def _goes_on(self) -> bool:
        """Report, keep or stop where it is time to; returns whether there is time for another step."""
        now = time.monotonic()
        if now >= self._progress.next:
            self._report_inside()
        late = due = stopped = False
        if self._group.world == 1 or self._at.done % _AGREE_EVERY == 0:
            wishes = (self._stop.wanted, now >= self._next_save, now >= self._deadline)
            stopped, due, late = self._group.any(wishes)
        by_steps = self._config.checkpoint_steps is not None and self._at.done % self._config.checkpoint_steps == 0
        if stopped or due or by_steps:
            self._keep()
        if stopped:
            raise StoppedError(
                f"Training was told to stop (SIGTERM) in epoch {self._at.epoch} of {self._task.epochs}. "
                f"{self._checkpoints.last}: run the same step again, and it goes on from there."
            )
        return not late

    def _score(self) -> None:
        """End the epoch: score the averaged parameters, note the history, keep the best."""
        at, task = self._at, self._task
        train_loss, seen = self._losses.mean(self._read_losses(), at.epoch)
        rows_per_second = self._rows_per_second()
        self._average.copy_buffers()
        loss, measure = self._validation.score(self._average.network)
        if not math.isfinite(loss):
            raise not_finite_after(at.epoch, loss, config=self._config, checkpoint=self._checkpoints.last)
        entry = {
            "epoch": at.epoch,
            "train_loss": train_loss,
            "validation_loss": loss,
            f"validation_{SCORES[task.kind]}": measure,
            "learning_rate": float(self._optimizer.rate),
            "rows": seen,
            "rows_per_second": rows_per_second,
            "seconds": self._elapsed(),
            **self._monitor.sample(),
        }
        self._history.append(entry)
        if self._group.leads:
            report_to_tuner(entry)
        key = list(preference(task.kind, measure, loss))
        better = not at.best_key or key > at.best_key
        if better:
            at.best_key, at.best_epoch = key, at.epoch
            self._best = copy.deepcopy(self._average.network.state_dict())
        self._progress.epoch(entry, done=at.done, best=better)
        at.epoch += 1
        at.step = 0

    def _rows_per_second(self) -> float:
        """Return the speed of this epoch in this attempt."""
        rows = self._losses.rows(self._at.epoch, self._began_at, self._at.step)
        return rows / max(time.monotonic() - self._epoch_began, 1e-9)

    def _read_losses(self) -> Tensor:
        """Return the losses of this epoch's steps.

        Raises:
            TrainingError: One is no finite number; names the first.
        """
        return self._losses.read(self._at.epoch, self._at.step, checkpoint=self._checkpoints.last)

    def _report_inside(self) -> None:
        losses = self._read_losses()
        self._progress.inside(
            self._at.epoch,
            self._at.step,
            done=self._at.done,
            loss=float(losses.mean()),
            rows_per_second=self._rows_per_second(),
            gpu=gpu_words(self._monitor.sample()),
        )

    def _elapsed(self) -> float:
        return self._at.seconds + time.monotonic() - self._started

    def _has_peaked(self) -> bool:
        patience = self._config.patience or max(3, self._task.epochs // 4)
        return bool(self._history) and len(self._history) - self._at.best_epoch >= patience

    def _tell_end(self, *, late: bool) -> None:
        best = self._at.best_epoch
        if late:
            self._progress.tell(
                f"stopped: training.max_seconds={self._config.max_seconds:g} have passed in epoch {self._at.epoch - 1} "
                f"of {self._task.epochs}; the best so far, epoch {best}, is kept"
            )
        elif self._at.epoch <= self._task.epochs:
            self._progress.tell(f"stopped: no better epoch than {best} in the last {len(self._history) - best}")

    def _state(self) -> dict[str, Tensor]:
        """Return every tensor that the next steps depend on, by name; these are the tensors themselves."""
        return {
            **{f"network.{name}": value for name, value in self._network.state_dict().items()},
            **{f"average.{name}": value for name, value in self._average.network.state_dict().items()},
            **{f"optimizer.{name}": value for name, value in self._optimizer.tensors.items()},
            "losses": self._losses.tensor,
        }

    def _keep(self) -> None:
        """Write a checkpoint; not of a state that has gone wrong."""
        self._read_losses()
        tensors = {name: copied(value) for name, value in self._state().items()}
        tensors.update(random_states(self._device, self._group))
        facts = {**vars(self._at), "seconds": self._elapsed(), "history": self._history, "world": self._group.world}
        best = {name: copied(value) for name, value in self._best.items()}
        self._checkpoints.save(
            self._at.done, Saved(tensors=tensors, best=best, facts=facts), best_epoch=self._at.best_epoch
        )
        self._next_save = time.monotonic() + self._config.checkpoint_seconds

    def _resume(self) -> None:
        """Take over the last checkpoint, if there is one."""
        saved = self._checkpoints.load()
        if saved is None:
            return
        with torch.no_grad():
            for name, value in self._state().items():
                value.copy_(saved.tensors[name])
        self._best = {name: value.to(self._device) for name, value in saved.best.items()}
        facts = dict(saved.facts)
        self._history[:] = facts.pop("history")
        for entry in self._history if self._group.leads else ():
            report_to_tuner(entry)
        world = facts.pop("world")
        if world != self._group.world:
            self._progress.tell(f"the checkpoint is of {world} processes, these are {self._group.world}: new dropout")
        restore_random_states(saved.tensors, self._device, self._group)
        self._at = Place(**facts)
        # An epoch whose last step has been taken already reports the rate of that step.
        self._set_rate(self._at.done - 1)
        self._progress.tell(
            f"going on from the checkpoint at step {self._at.step:,} of epoch {self._at.epoch}/{self._task.epochs}"
        )
