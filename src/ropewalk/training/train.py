"""Train a model on preprocessed splits."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from ropewalk.artifacts import MODEL, PREPROCESSOR, Manifest, read_artifact, write_artifact
from ropewalk.errors import ConfigError
from ropewalk.preprocess.preprocessor import Preprocessor, load_preprocessor
from ropewalk.preprocess.splits import read_split
from ropewalk.progress import say
from ropewalk.quick_exit import skip_last_collection
from ropewalk.training.architectures import build_network
from ropewalk.training.config import GBDT, TrainingConfig
from ropewalk.training.device import choose_device, choose_precision
from ropewalk.training.fit import batch_size_for, epochs_for, fit, rows_on
from ropewalk.training.metrics import SCORES
from ropewalk.training.model import save_model
from ropewalk.training.networks import TrainedNetwork
from ropewalk.training.targets import scaling_of
from ropewalk.training.weights import check_weights, measure_weighting


def train(
    train: Path,
    *,
    validation: Path,
    preprocessor: Path,
    model: Path,
    epochs: int = 0,
    seed: int = 0,
    config: TrainingConfig = TrainingConfig(),
) -> Manifest:
    """Fit a model to the training split and write it as it was in its best epoch; returns its manifest.

    Args:
        train: Split to learn from.
        validation: Split that chooses the best epoch.
        preprocessor: Preprocessor artifact, learned from the same training split.
        model: Where to write the model.
        epochs: Most passes over the training rows; 0: as many as the table's size calls for (8 to 200). For
            gradient boosting: most rounds; 0: 1,000.
        seed: Seed of initial weights, shuffling and dropout. Same seed, rows and machine: same model.
        config: Architecture, its settings, and the optimiser's.

    Raises:
        ConfigError: `epochs` is negative, the user's own architecture cannot be built, a library is missing, or
            weights do not fit the target.
        TrainingError: There is no GPU where one was asked for, or the loss is no finite number.
        ArtifactError: An input is unfinished or altered.
    """
    skip_last_collection()
    if epochs < 0:
        raise ConfigError(f"epochs={epochs}: need 1 or more, or 0 to have it chosen.")
    if config.architecture == GBDT:
        # Imported late: networks need no XGBoost.
        from ropewalk.training.gbdt import train_gbdt

        return train_gbdt(
            train,
            validation=validation,
            preprocessor=preprocessor,
            model=model,
            epochs=epochs,
            seed=seed,
            config=config,
        )
    device = choose_device(config)
    learned, learned_manifest = load_preprocessor(preprocessor), read_artifact(preprocessor, PREPROCESSOR)
    check_weights(learned, config)
    torch.manual_seed(seed)
    network = build_network(learned, config).to(device)
    train_table, train_manifest = read_split(train)
    validation_table, validation_manifest = read_split(validation)
    precision = choose_precision(config, device, learned.task)
    target, validation_target = learned.encode_target(train_table), learned.encode_target(validation_table)
    scaling = scaling_of(target, learned.task)
    train_rows = rows_on(
        device,
        learned.encode(train_table),
        _as_tensor(scaling.apply(target), learned.task),
        _weights(learned, train_table, target, config, training=True),
    )
    validation_rows = rows_on(
        device,
        learned.encode(validation_table),
        _as_tensor(scaling.apply(validation_target), learned.task),
        _weights(learned, validation_table, validation_target, config, training=False),
    )
    parameters = sum(parameter.numel() for parameter in network.parameters())
    batch_size = batch_size_for(len(train_rows), config)
    epochs = epochs or epochs_for(len(train_rows), batch_size)
    say(
        f"{learned.task} on {len(train_rows):,} rows, {len(learned.used)} columns; {parameters:,} parameters; "
        f"at most {epochs} epochs of "
        f"{batch_size:,}-row steps on {device.type} in {str(precision).removeprefix('torch.')}"
    )
    fitted = fit(
        network,
        train_rows,
        validation_rows,
        task=learned.task,
        epochs=epochs,
        scale=scaling.scale,
        precision=precision,
        config=config,
    )
    best = fitted.history[fitted.best_epoch - 1]
    network.load_state_dict(fitted.state)
    with write_artifact(model, MODEL, [learned_manifest, train_manifest, validation_manifest]) as draft:
        save_model(
            draft.folder,
            preprocessor=learned,
            learned=TrainedNetwork(network, learned.task),
            center=scaling.center,
            scale=scaling.scale,
            history=fitted.history,
            config=config,
        )
        draft.facts.update(
            task=learned.task,
            target=learned.target,
            architecture=config.architecture,
            parameters=parameters,
            epochs=len(fitted.history),
            best_epoch=fitted.best_epoch,
            seed=seed,
            rows=len(train_rows),
            device=device.type,
            precision=str(precision).removeprefix("torch."),
            seconds=round(fitted.history[-1]["seconds"], 1),
            **{name: best[name] for name in ("train_loss", "validation_loss", f"validation_{SCORES[learned.task]}")},
        )
    return read_artifact(model, MODEL)


def _as_tensor(target: np.ndarray, task: str) -> torch.Tensor:
    return torch.from_numpy(target) if task == "multiclass" else torch.from_numpy(target).float()


def _weights(
    learned: Preprocessor, table: pa.Table, target: np.ndarray, config: TrainingConfig, *, training: bool
) -> torch.Tensor | None:
    weighting = measure_weighting([(table, target)], learned, config, training=training)
    return None if weighting is None else torch.from_numpy(weighting.of(table, target)).float()
