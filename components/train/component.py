"""KFP interface of `ropewalk.training`: types, defaults and docs, no logic."""

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.STEPS, install_kfp_package=False)
def train_model(
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    preprocessor: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    curves: dsl.Output[dsl.HTML],
    epochs: int = 0,
    seed: int = 0,
    config: dict = {},
) -> None:
    """Fit a network to a preprocessed table, on a GPU where there is one.

    Args:
        train: Rows to learn from, as preprocess_table writes them.
        validation: Rows that choose the best epoch.
        preprocessor: How columns become numbers, learned from the same training rows.
        epochs: Most passes over the training rows; 0 has it chosen by the table's size.
        seed: Seed of initial weights, shuffling and dropout.
        config: Network and optimiser settings; see `python -m ropewalk.training --help`.

    Returns:
        model: Weights as safetensors, with the preprocessor: takes raw columns. No pickle.
        curves: Page with loss, score, learning rate, speed and the machine's figures over epochs.
    """
    from pathlib import Path

    from ropewalk.config import parse_config
    from ropewalk.training.config import TrainingConfig
    from ropewalk.training.train import train as train_network

    manifest = train_network(
        Path(train.path),
        validation=Path(validation.path),
        preprocessor=Path(preprocessor.path),
        model=Path(model.path),
        curves=Path(curves.path),
        epochs=epochs,
        seed=seed,
        config=parse_config(TrainingConfig, config, section="training"),
    )
    model.metadata.update(manifest.metadata())
