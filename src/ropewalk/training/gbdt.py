"""Train gradient-boosted trees on preprocessed splits, with the rows, the scores and the history that networks have."""

import os
from pathlib import Path
from typing import Any

from ropewalk.artifacts import MODEL, PREPROCESSOR, Manifest, read_artifact, write_artifact
from ropewalk.errors import ConfigError, TrainingError
from ropewalk.preprocess.preprocessor import Preprocessor, load_preprocessor
from ropewalk.progress import say
from ropewalk.training.checkpoint import Checkpoints
from ropewalk.training.config import GBDT, TrainingConfig
from ropewalk.training.device import choose_device
from ropewalk.training.distributed import ALONE
from ropewalk.training.identity import checkpoint_place, fingerprint
from ropewalk.training.keep_curves import keeping_curves
from ropewalk.training.metrics import SCORES
from ropewalk.training.model import save_model
from ropewalk.training.parts import Parts
from ropewalk.training.store import open_store
from ropewalk.training.trees import BoostedTrees, import_xgboost
from ropewalk.training.weights import check_weights

_ROUNDS = 1000
_LEAST_IN_LEAF = 5
"""Least sum of second derivatives in a leaf: 5 rows for regression, 20 or more for classification."""
_OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}


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

    Memory holds the number of each value's bin, not the value; rows are read one row group at a time.

    Raises:
        ConfigError: XGBoost is not installed, weights do not fit the target, or there are several processes.
        TrainingError: There is no GPU where one was asked for.
        StoppedError: SIGTERM came; the trees are kept, and the same call goes on.
        ArtifactError: An input is unfinished or altered.
    """
    import_xgboost()
    # Imported late: they need XGBoost, of which the line above says how to get it.
    from ropewalk.training.boosting import BoostingTask, boost
    from ropewalk.training.tree_rows import read_tree_rows

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "Gradient boosting uses one process: start it without torchrun, or with one node and process."
        )
    device = _choose_device(config)
    learned, learned_manifest = load_preprocessor(preprocessor), read_artifact(preprocessor, PREPROCESSOR)
    check_weights(learned, config)
    parts = Parts(train, learned), Parts(validation, learned)
    training = parts[0].learn_labels(config)
    train_rows = read_tree_rows(parts[0], training, learned)
    validation_labels = parts[1].validation_labels(training, config)
    task = BoostingTask(
        kind=learned.task,
        train=train_rows,
        validation=read_tree_rows(parts[1], validation_labels, learned, like=train_rows),
        rounds=epochs or _ROUNDS,
        scale=training.scaling.scale,
        settings=_settings(learned, seed, device, config),
    )
    say(
        f"{learned.task} on {len(parts[0]):,} rows, {len(learned.used)} columns; gradient boosting of at most "
        f"{task.rounds:,} rounds on {device}"
    )
    name = fingerprint(
        parts, learned, {}, epochs=task.rounds, seed=seed, precision=f"float32 on {device}", config=config
    )
    store = open_store(checkpoint_place(config, model, name))
    checkpoints = Checkpoints(store, fingerprint=name, group=ALONE)
    history: list[dict[str, Any]] = []
    with keeping_curves(curves, history, target=learned.target, task=learned.task):
        boosted = boost(task, config=config, checkpoints=checkpoints, history=history)
    best = boosted.history[boosted.best_round - 1]
    trees = BoostedTrees(boosted.booster, learned)
    with write_artifact(model, MODEL, [learned_manifest, *(each.manifest for each in parts)]) as draft:
        save_model(
            draft.folder,
            preprocessor=learned,
            learned=trees,
            center=training.scaling.center,
            scale=training.scaling.scale,
            history=boosted.history,
            config=config,
        )
        draft.facts.update(
            task=learned.task,
            target=learned.target,
            architecture=GBDT,
            parameters=trees.leaves,
            epochs=len(boosted.history),
            best_epoch=boosted.best_round,
            seed=seed,
            rows=len(parts[0]),
            device=device,
            precision="float32",
            seconds=round(boosted.history[-1]["seconds"], 1),
            **{name: best[name] for name in ("train_loss", "validation_loss", f"validation_{SCORES[learned.task]}")},
        )
    checkpoints.remove()
    return read_artifact(model, MODEL)


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
        "seed_per_iteration": True,
        **classes,
    }
