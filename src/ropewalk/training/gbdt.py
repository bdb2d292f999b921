"""Train gradient-boosted trees on preprocessed splits, with the rows, the scores and the history that networks have."""

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ropewalk.artifacts import MODEL, PREPROCESSOR, Manifest, read_artifact, write_artifact
from ropewalk.errors import ConfigError, TrainingError
from ropewalk.metric_lines import report_to_tuner
from ropewalk.preprocess.preprocessor import Encoded, Preprocessor, load_preprocessor
from ropewalk.preprocess.splits import read_split
from ropewalk.progress import say
from ropewalk.training.config import GBDT, TrainingConfig
from ropewalk.training.device import choose_device
from ropewalk.training.keep_curves import keeping_curves
from ropewalk.training.metrics import SCORES, loss_function, preference, validation_score
from ropewalk.training.model import save_model
from ropewalk.training.targets import Scaling, scaling_of
from ropewalk.training.trees import BoostedTrees, as_matrix, import_xgboost, margins
from ropewalk.training.weights import check_weights, learn_weighting

_ROUNDS = 1000
_PATIENCE = 50
_REPORTS = 20
_LEAST_IN_LEAF = 5
"""Least sum of second derivatives in a leaf: 5 rows for regression, 20 or more for classification."""
_OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}


@dataclass(frozen=True)
class BoostingRows:
    """Encoded rows with their target."""

    encoded: Encoded
    target: np.ndarray
    """Class index (int64), or scaled value (float64); shape (rows,)."""
    weight: np.ndarray | None = None
    """Each row's weight in loss and score, 1 on average; shape (rows,); absent: all weigh the same."""


@dataclass(frozen=True)
class Boosted:
    """What boosting left behind."""

    trees: BoostedTrees
    """Those up to the best round."""
    best_round: int
    """1 or more."""
    history: list[dict[str, Any]]
    """Per round, which counts as an epoch: the entries of `fit.Fit.history`."""


def train_gbdt(
    train: Path,
    *,
    validation: Path,
    preprocessor: Path,
    model: Path,
    curves: Path | None,
    epochs: int,
    seed: int,
    config: TrainingConfig,
) -> Manifest:
    """Do as `train.train` does, with trees in place of a network; a boosting round counts as an epoch, 0: 1,000.

    Raises:
        ConfigError: XGBoost is not installed, weights do not fit the target, or there are several processes.
        TrainingError: There is no GPU where one was asked for.
        ArtifactError: An input is unfinished or altered.
    """
    import_xgboost()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "Gradient boosting uses one process: start it without torchrun, or with one node and process."
        )
    device = _choose_device(config)
    learned, learned_manifest = load_preprocessor(preprocessor), read_artifact(preprocessor, PREPROCESSOR)
    check_weights(learned, config)
    train_table, train_manifest = read_split(train)
    validation_table, validation_manifest = read_split(validation)
    target = learned.encode_target(train_table)
    scaling = scaling_of([target], learned.task)
    train_rows = _rows(learned, train_table, scaling, config, class_weights=config.class_weights)
    validation_rows = _rows(learned, validation_table, scaling, config, class_weights=None)
    rounds = epochs or _ROUNDS
    say(
        f"{learned.task} on {len(target):,} rows, {len(learned.used)} columns; gradient boosting of at most "
        f"{rounds:,} rounds on {device}"
    )
    history: list[dict[str, Any]] = []
    with keeping_curves(curves, history, target=learned.target, task=learned.task):
        boosted = fit_gbdt(
            learned,
            train_rows,
            validation_rows,
            rounds=rounds,
            scale=scaling.scale,
            seed=seed,
            device=device,
            config=config,
            history=history,
        )
    best = boosted.history[boosted.best_round - 1]
    with write_artifact(model, MODEL, [learned_manifest, train_manifest, validation_manifest]) as draft:
        save_model(
            draft.folder,
            preprocessor=learned,
            learned=boosted.trees,
            center=scaling.center,
            scale=scaling.scale,
            history=boosted.history,
            config=config,
        )
        draft.facts.update(
            task=learned.task,
            target=learned.target,
            architecture=GBDT,
            parameters=boosted.trees.leaves,
            epochs=len(boosted.history),
            best_epoch=boosted.best_round,
            seed=seed,
            rows=len(target),
            device=device,
            precision="float32",
            seconds=round(boosted.history[-1]["seconds"], 1),
            **{name: best[name] for name in ("train_loss", "validation_loss", f"validation_{SCORES[learned.task]}")},
        )
    return read_artifact(model, MODEL)


def fit_gbdt(
    preprocessor: Preprocessor,
    train: BoostingRows,
    validation: BoostingRows,
    *,
    rounds: int,
    scale: float,
    seed: int,
    device: str,
    config: TrainingConfig,
    history: list[dict[str, Any]],
) -> Boosted:
    """Boost trees until no round was better for `config.patience` rounds, and keep those up to the best round.

    The best round has the best validation score (see SCORES), the lower loss where scores tie, as with networks.

    Args:
        preprocessor: Names task and classes.
        train: Rows to learn from.
        validation: Rows that choose the best round.
        rounds: Most rounds, at least 1.
        scale: The regression target's standard deviation, which turns losses into its own unit.
        seed: Seed of the library.
        device: "cpu" or "cuda".
        config: Rate, leaves and patience.
        history: Filled round by round.
    """
    xgboost = import_xgboost()
    task = preprocessor.task
    train_matrix = as_matrix(
        xgboost.QuantileDMatrix, train.encoded, preprocessor, label=train.target, weight=train.weight
    )
    validation_matrix = as_matrix(
        xgboost.QuantileDMatrix, validation.encoded, preprocessor, label=validation.target, ref=train_matrix
    )
    booster = xgboost.Booster(_settings(preprocessor, seed, device, config), cache=[train_matrix, validation_matrix])
    patience = config.patience or _PATIENCE
    best_round, best_preference = 0, (-math.inf, -math.inf)
    started = time.monotonic()
    for number in range(1, rounds + 1):
        round_started = time.monotonic()
        booster.update(train_matrix, number - 1)
        seconds = time.monotonic() - round_started
        train_loss, _ = _judge(margins(booster, train_matrix), train, task, scale)
        loss, score = _judge(margins(booster, validation_matrix), validation, task, scale)
        history.append(
            {
                "epoch": number,
                "train_loss": train_loss,
                "validation_loss": loss,
                f"validation_{SCORES[task]}": score,
                "learning_rate": config.boosting_rate,
                "rows_per_second": len(train.target) / seconds,
                "seconds": time.monotonic() - started,
            }
        )
        report_to_tuner(history[-1])
        if preference(task, score, loss) > best_preference:
            best_round, best_preference = number, preference(task, score, loss)
        stops = number - best_round >= patience
        if stops or number in (1, rounds) or number % math.ceil(rounds / _REPORTS) == 0:
            _report(history[-1], rounds, SCORES[task], history[best_round - 1])
        if stops:
            say(f"stopped: no better round than {best_round} in the last {patience}")
            break
    return Boosted(BoostedTrees(booster[:best_round], preprocessor), best_round, history)


def _rows(
    learned: Preprocessor,
    table: pa.Table,
    scaling: Scaling,
    config: TrainingConfig,
    *,
    class_weights: str | Mapping[str, float] | None,
) -> BoostingRows:
    target = learned.encode_target(table)
    weighting = learn_weighting(learned, [(table, target)], config, class_weights=class_weights)
    return BoostingRows(learned.encode(table), scaling.apply(target), weighting.of(table, target))


def _choose_device(config: TrainingConfig) -> str:
    device = choose_device(config).type
    if device == "cpu" or import_xgboost().build_info()["USE_CUDA"]:
        return device
    if config.device == "auto":
        return "cpu"
    raise TrainingError(
        "device='cuda' was asked for, but this XGBoost is built for the CPU: install xgboost in place of xgboost-cpu, "
        "or set training.device to 'auto' or 'cpu'."
    )


def _settings(preprocessor: Preprocessor, seed: int, device: str, config: TrainingConfig) -> dict[str, Any]:
    classes = {"num_class": len(preprocessor.classes)} if preprocessor.task == "multiclass" else {}
    return {
        "objective": _OBJECTIVES[preprocessor.task],
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "max_leaves": config.boosting_leaves,
        "learning_rate": config.boosting_rate,
        "colsample_bynode": config.boosting_columns,
        "min_child_weight": _LEAST_IN_LEAF,
        "device": device,
        "seed": seed,
        **classes,
    }


def _judge(outputs: np.ndarray, rows: BoostingRows, task: str, scale: float) -> tuple[float, float]:
    """Return loss and score of the rows, as for a network's outputs."""
    predicted, target = torch.from_numpy(outputs), torch.from_numpy(rows.target)
    weight = None if rows.weight is None else torch.from_numpy(rows.weight)
    loss = float(loss_function(predicted, target, task, weight))
    return loss, validation_score(predicted, target, task, loss, scale, weight)


def _report(entry: dict[str, Any], rounds: int, score_name: str, best: dict[str, Any]) -> None:
    left = entry["seconds"] / entry["epoch"] * (rounds - entry["epoch"])
    say(
        f"round {entry['epoch']}/{rounds}  train loss {entry['train_loss']:.4f}  "
        f"validation loss {entry['validation_loss']:.4f}  "
        f"{score_name} {entry[f'validation_{score_name}']:.4f} (best {best[f'validation_{score_name}']:.4f} in "
        f"round {best['epoch']})  {entry['rows_per_second']:,.0f} rows/s  at most {left:.0f} s left"
    )
