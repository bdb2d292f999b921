"""Train a model on preprocessed splits."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ropewalk.artifacts import MODEL, PREPROCESSOR, Manifest, read_artifact, write_artifact
from ropewalk.errors import ConfigError
from ropewalk.preprocess.preprocessor import Preprocessor, load_preprocessor
from ropewalk.progress import say
from ropewalk.quick_exit import skip_last_collection
from ropewalk.training.architectures import build_network
from ropewalk.training.checkpoint import Checkpoints
from ropewalk.training.config import GBDT, TrainingConfig
from ropewalk.training.device import choose_device, choose_precision
from ropewalk.training.distributed import ALONE, Group, process_group, process_seed
from ropewalk.training.failures import memory_errors
from ropewalk.training.fit import fit
from ropewalk.training.identity import checkpoint_place, fingerprint
from ropewalk.training.keep_curves import keeping_curves
from ropewalk.training.labels import Labels
from ropewalk.training.memory import table_bytes
from ropewalk.training.metrics import SCORES
from ropewalk.training.model import save_model
from ropewalk.training.networks import TrainedNetwork
from ropewalk.training.parts import Parts
from ropewalk.training.schedule import batch_size_for, epochs_for
from ropewalk.training.store import open_store
from ropewalk.training.tables import StreamedTable, Table, load_table
from ropewalk.training.task import Fit, Task
from ropewalk.training.weights import check_weights

_VALIDATION_SHARE = 0.25
"""Share of a table's memory that validation rows may take where the training rows are streamed."""


def train(
    train: Path,
    *,
    validation: Path,
    preprocessor: Path,
    model: Path,
    curves: Path | None = None,
    epochs: int = 0,
    seed: int = 0,
    config: TrainingConfig = TrainingConfig(),
) -> Manifest:
    """Fit a model to the training split and write it as it was in its best epoch; returns its manifest.

    Checkpoints are kept meanwhile, so that the same call goes on where one was stopped or killed. Started by torchrun,
    several processes train one model.

    Args:
        train: Split to learn from.
        validation: Split that chooses the best epoch.
        preprocessor: Preprocessor artifact, learned from the same training split.
        model: Where to write the model.
        curves: Where to write a page with the training curves; absent: none.
        epochs: Most passes over the training rows; 0: as many as the table's size calls for (8 to 125). For
            gradient boosting: most rounds; 0: 1,000.
        seed: Seed of initial weights, shuffling and dropout. Same seed, rows and machine: same model.
        config: Architecture, its settings, and the optimiser's.

    Raises:
        ConfigError: `epochs` is negative, the user's own architecture cannot be built, a library is missing, or
            weights do not fit the target.
        TrainingError: There is no GPU where one was asked for, memory is too small, or the loss is no finite number.
        StoppedError: SIGTERM came; the state is kept, and the same call goes on.
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
            curves=curves,
            epochs=epochs,
            seed=seed,
            config=config,
        )
    device = choose_device(config)
    learned, learned_manifest = load_preprocessor(preprocessor), read_artifact(preprocessor, PREPROCESSOR)
    check_weights(learned, config)
    parts = Parts(train, learned), Parts(validation, learned)
    made_from = [learned_manifest, *(each.manifest for each in parts)]
    with process_group(device) as group, memory_errors(config):
        run = _Run(parts, learned, device=device, group=group, epochs=epochs, seed=seed, config=config)
        checkpoints = Checkpoints(
            open_store(checkpoint_place(config, model, run.fingerprint)), fingerprint=run.fingerprint, group=group
        )
        history: list[dict[str, Any]] = []
        page = curves if group.leads else None
        with keeping_curves(page, history, target=learned.target, task=learned.task):
            fitted = fit(run.network, run.task, config=config, checkpoints=checkpoints, group=group, history=history)
        manifest = _shared(group, run.write(model, fitted, made_from) if group.leads else None)
        checkpoints.remove()
    return manifest


class _Run:
    """What is trained, on what, and how; said in one line."""

    def __init__(
        self,
        parts: tuple[Parts, Parts],
        learned: Preprocessor,
        *,
        device: torch.device,
        group: Group,
        epochs: int,
        seed: int,
        config: TrainingConfig,
    ) -> None:
        self._learned, self._device, self._seed, self._config = learned, device, seed, config
        rows = len(parts[0])
        precision = choose_precision(config, device, learned.task)
        batch_size = batch_size_for(rows, config)
        epochs = epochs or epochs_for(rows, batch_size)
        torch.manual_seed(seed)
        self.network: nn.Module = build_network(learned, config).to(device)
        self.fingerprint = fingerprint(
            parts, learned, self.network.state_dict(), epochs=epochs, seed=seed, precision=str(precision), config=config
        )
        self._parameters = sum(parameter.numel() for parameter in self.network.parameters())
        torch.manual_seed(process_seed(seed, group.rank))
        training = parts[0].learn_labels(config)
        self._scaling = training.scaling
        labels = training, parts[1].validation_labels(training, config)
        tables = _tables(parts, labels, device=device, group=group, seed=seed, config=config)
        self.task = Task(
            kind=learned.task,
            train=tables[0],
            validation=tables[1],
            epochs=epochs,
            seed=seed,
            scale=training.scaling.scale,
            precision=precision,
        )
        if group.leads:
            streamed = isinstance(tables[0], StreamedTable)
            say(
                f"{learned.task} on {rows:,} rows, {len(learned.used)} columns; {self._parameters:,} parameters; "
                f"at most {epochs} epochs of "
                f"{batch_size:,}-row steps on {_where(device, group)} in {str(precision).removeprefix('torch.')}"
                f"{'; rows are streamed' if streamed else ''}"
            )

    def write(self, model: Path, fitted: Fit, made_from: list[Manifest]) -> Manifest:
        """Write the model artifact and return its manifest."""
        best = fitted.history[fitted.best_epoch - 1]
        task = self.task
        self.network.load_state_dict(fitted.state)
        with write_artifact(model, MODEL, made_from) as draft:
            save_model(
                draft.folder,
                preprocessor=self._learned,
                learned=TrainedNetwork(self.network, task.kind),
                center=self._scaling.center,
                scale=self._scaling.scale,
                history=fitted.history,
                config=self._config,
            )
            draft.facts.update(
                task=task.kind,
                target=self._learned.target,
                architecture=self._config.architecture,
                parameters=self._parameters,
                epochs=len(fitted.history),
                best_epoch=fitted.best_epoch,
                seed=self._seed,
                rows=len(task.train),
                device=self._device.type,
                precision=str(task.precision).removeprefix("torch."),
                seconds=round(fitted.history[-1]["seconds"], 1),
                **{name: best[name] for name in ("train_loss", "validation_loss", f"validation_{SCORES[task.kind]}")},
            )
        return read_artifact(model, MODEL)


def _shared(group: Group, manifest: Manifest | None) -> Manifest:
    """Return rank 0's manifest in every process: the others may be on machines that do not see its disk."""
    content = b"" if manifest is None else json.dumps(vars(manifest)).encode()
    return Manifest(**json.loads(group.leaders(content)))


def _tables(
    parts: tuple[Parts, Parts],
    labels: tuple[Labels, Labels],
    *,
    device: torch.device,
    group: Group,
    seed: int,
    config: TrainingConfig,
) -> tuple[Table, Table]:
    """Return the training and validation rows on the device where both fit, and streamed where they do not."""
    room = table_bytes(config, device)
    needed = [len(each) * each.bytes_per_row for each in parts]
    fits = [sum(needed) <= room, needed[1] <= room * (1 if sum(needed) <= room else _VALIDATION_SHARE)]
    agreed = json.loads(group.leaders(json.dumps(fits).encode()))
    # Validation rows are shared out in their order, not by shards: see validation.py.
    training, validation = (
        load_table(each, own, device)
        if whole
        else StreamedTable(each, own, device=device, seed=seed, shuffle_rows=config.shuffle_rows, group=sharing)
        for each, own, whole, sharing in zip(parts, labels, agreed, (group, ALONE), strict=True)
    )
    return training, validation


def _where(device: torch.device, group: Group) -> str:
    return device.type if group.world == 1 else f"{group.world} x {device.type}"
