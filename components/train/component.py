"""KFP interface of `ropewalk.training`: types, defaults and docs, no logic."""

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
def train_model(
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    preprocessor: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    curves: dsl.Output[dsl.HTML],
    epochs: int = 0,
    seed: int = 0,
    config: dict = {},
    cluster: dict = {},
) -> None:
    """Fit a network to a preprocessed table: in this pod, on a GPU where there is one, or in a Kubeflow TrainJob.

    Args:
        train: Rows to learn from, as preprocess_table writes them.
        validation: Rows that choose the best epoch.
        preprocessor: How columns become numbers, learned from the same training rows.
        epochs: Most passes over the training rows; 0 has it chosen by the table's size.
        seed: Seed of initial weights, shuffling and dropout.
        config: Network and optimiser settings; see `python -m ropewalk.training --help`.
        cluster: Where a TrainJob runs, and on what: fields of TrainJobConfig, such as {"nodes": 2, "gpus": 8}. Empty trains in this pod.

    Returns:
        model: Weights as safetensors, with the preprocessor: takes raw columns. No pickle.
        curves: Page with loss, score, learning rate, speed and the machine's figures over epochs.
    """
    from pathlib import Path

    from ropewalk.training.launch import Location, train_by_profile

    manifest = train_by_profile(
        Location(train.path, train.uri),
        validation=Location(validation.path, validation.uri),
        preprocessor=Location(preprocessor.path, preprocessor.uri),
        model=Location(model.path, model.uri),
        curves=Path(curves.path),
        epochs=epochs,
        seed=seed,
        config=config,
        cluster=cluster,
    )
    model.metadata.update(manifest.metadata())
