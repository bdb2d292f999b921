"""The loop of gradient boosting: a tree (or one per class) a round, scored, kept in checkpoints, stopped in time."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import xgboost
from torch import Tensor

from ropewalk.errors import StoppedError
from ropewalk.metric_lines import report_to_tuner
from ropewalk.progress import say
from ropewalk.training.checkpoint import Checkpoints, Saved
from ropewalk.training.config import TrainingConfig
from ropewalk.training.metrics import SCORES, loss_function, preference, validation_score
from ropewalk.training.stopping import StopFlag, listening
from ropewalk.training.tree_rows import TreeRows, as_bytes, as_tensor
from ropewalk.training.trees import margins

_PATIENCE = 50
_REPORTS = 20


@dataclass(frozen=True)
class Boosted:
    """What boosting left behind."""

    booster: xgboost.Booster
    """The trees up to the best round."""
    best_round: int
    """1 or more."""
    history: list[dict[str, Any]]
    """Per round, which counts as an epoch: the entries of `fit.Fit.history`."""


@dataclass(frozen=True, kw_only=True)
class BoostingTask:
    """What trees learn, from what, and how long."""

    kind: str
    """"binary", "multiclass" or "regression"."""
    train: TreeRows
    """Rows to learn from."""
    validation: TreeRows
    """Rows that choose the best round."""
    rounds: int
    """Most rounds, at least 1."""
    scale: float
    """The regression target's standard deviation, which turns losses into its own unit."""
    settings: Mapping[str, Any]
    """XGBoost's parameters."""


def boost(
    task: BoostingTask, *, config: TrainingConfig, checkpoints: Checkpoints, history: list[dict[str, Any]]
) -> Boosted:
    """Boost trees until no round was better for `config.patience` rounds, and return those up to the best round.

    The best round has the best validation score (see SCORES), the lower loss where scores tie, as with networks.
    Boosting that was stopped goes on at its last checkpoint, and ends with the same trees, bit by bit, on the same kind
    of machine.

    Args:
        task: What to learn.
        config: Patience and limits.
        checkpoints: Where the trees are kept meanwhile.
        history: Filled round by round.

    Raises:
        StoppedError: SIGTERM came; the trees are kept, and the same call goes on.
    """
    with listening() as stop:
        return _Boosting(task, config, checkpoints, history, stop).run()


class _Boosting:
    """The state of one boosting and what happens to it."""

    def __init__(
        self,
        task: BoostingTask,
        config: TrainingConfig,
        checkpoints: Checkpoints,
        history: list[dict[str, Any]],
        stop: StopFlag,
    ) -> None:
        self._task, self._config, self._checkpoints, self._stop = task, config, checkpoints, stop
        self._history = history
        self._booster = xgboost.Booster(dict(task.settings), cache=[task.train.matrix, task.validation.matrix])
        self._done = self._best_round = 0
        self._best_key: list[float] = []
        self._earlier = 0.0

    def run(self) -> Boosted:
        self._resume()
        self._started = time.monotonic()
        self._next_save = self._started + self._config.checkpoint_seconds
        limit = self._config.max_seconds or math.inf
        while self._done < self._task.rounds and not self._has_peaked():
            self._round()
            self._goes_on()
            if self._elapsed() >= limit:
                say(f"stopped: training.max_seconds={limit:g} have passed; the best so far, round {self._best_round}")
                break
        return Boosted(self._booster[: self._best_round], self._best_round, self._history)

    def _round(self) -> None:
        task = self._task
        began = time.monotonic()
        self._renew_updater()
        self._booster.update(task.train.matrix, self._done)
        seconds = time.monotonic() - began
        self._done += 1
        train_loss, _ = self._judge(task.train)
        loss, score = self._judge(task.validation)
        self._history.append(
            {
                "epoch": self._done,
                "train_loss": train_loss,
                "validation_loss": loss,
                f"validation_{SCORES[task.kind]}": score,
                "learning_rate": self._config.boosting_rate,
                "rows_per_second": len(task.train.target) / seconds,
                "seconds": self._elapsed(),
            }
        )
        report_to_tuner(self._history[-1])
        key = list(preference(task.kind, score, loss))
        if not self._best_key or key > self._best_key:
            self._best_round, self._best_key = self._done, key
        if self._done in (1, task.rounds) or self._has_peaked() or self._done % math.ceil(task.rounds / _REPORTS) == 0:
            self._report()

    def _renew_updater(self) -> None:
        """Have XGBoost draw this round's columns by the round's number alone, as it does after a checkpoint.

        What draws columns for a node is seeded when the updater of trees is made, and lives as long; another method
        and back makes it anew.
        """
        method = self._task.settings["tree_method"]
        self._booster.set_param({"tree_method": "approx"})
        # Parameters take effect when they are next needed, as here.
        self._booster.save_config()
        self._booster.set_param({"tree_method": method})

    def _judge(self, rows: TreeRows) -> tuple[float, float]:
        """Return loss and score of the rows, as for a network's outputs."""
        kind = self._task.kind
        outputs = torch.from_numpy(margins(self._booster, rows.matrix))
        target: Tensor = rows.target if kind == "multiclass" else rows.target.double()
        loss = float(loss_function(outputs, target, kind, rows.weight))
        return loss, validation_score(outputs, target, kind, loss, self._task.scale, rows.weight)

    def _has_peaked(self) -> bool:
        return self._done - self._best_round >= (self._config.patience or _PATIENCE)

    def _elapsed(self) -> float:
        return self._earlier + time.monotonic() - self._started

    def _goes_on(self) -> None:
        """Keep the trees or stop where it is time to."""
        by_rounds = self._config.checkpoint_steps is not None and self._done % self._config.checkpoint_steps == 0
        if self._stop.wanted or by_rounds or time.monotonic() >= self._next_save:
            self._keep()
        if self._stop.wanted:
            raise StoppedError(
                f"Training was told to stop (SIGTERM) after round {self._done} of {self._task.rounds}. "
                f"{self._checkpoints.last}: run the same step again, and it goes on from there."
            )

    def _keep(self) -> None:
        facts = {
            "done": self._done,
            "best_round": self._best_round,
            "best_key": self._best_key,
            "seconds": self._elapsed(),
            "history": self._history,
        }
        trees = as_tensor(self._booster.save_raw("ubj"))
        self._checkpoints.save(
            self._done, Saved(tensors={"trees": trees}, best={}, facts=facts), best_epoch=self._best_round
        )
        self._next_save = time.monotonic() + self._config.checkpoint_seconds

    def _resume(self) -> None:
        """Take over the last checkpoint, if there is one."""
        saved = self._checkpoints.load()
        if saved is None:
            return
        self._booster.load_model(as_bytes(saved.tensors["trees"]))
        # Of the parameters a model keeps the objective's only.
        self._booster.set_param(dict(self._task.settings))
        facts = saved.facts
        self._done, self._best_round, self._best_key = facts["done"], facts["best_round"], facts["best_key"]
        self._earlier = facts["seconds"]
        self._history[:] = facts["history"]
        for entry in self._history:
            report_to_tuner(entry)
        say(f"going on from the checkpoint at round {self._done}/{self._task.rounds}")

    def _report(self) -> None:
        entry, best, rounds = self._history[-1], self._history[self._best_round - 1], self._task.rounds
        name = SCORES[self._task.kind]
        left = entry["seconds"] / entry["epoch"] * (rounds - entry["epoch"])
        say(
            f"round {entry['epoch']}/{rounds}  train loss {entry['train_loss']:.4f}  "
            f"validation loss {entry['validation_loss']:.4f}  "
            f"{name} {entry[f'validation_{name}']:.4f} (best {best[f'validation_{name}']:.4f} in "
            f"round {best['epoch']})  {entry['rows_per_second']:,.0f} rows/s  at most {left:.0f} s left"
        )
        if self._has_peaked():
            say(f"stopped: no better round than {best['epoch']} in the last {entry['epoch'] - best['epoch']}")
