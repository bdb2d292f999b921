"""KFP interface of `ropewalk.training` in a Kubeflow TrainJob: types, defaults and docs, no logic."""

from kfp import dsl

from ropewalk import images


@dsl.component(
    base_image=images.TRAIN,
    install_kfp_package=False,
    task_config_passthroughs=[
        dsl.TaskConfigField.RESOURCES,
        dsl.TaskConfigField.KUBERNETES_AFFINITY,
        dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR,
        dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.KUBERNETES_VOLUMES, apply_to_task=True),
    ],
)
def launch_training(
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    preprocessor: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    curves: dsl.Output[dsl.HTML],
    epochs: int = 0,
    seed: int = 0,
    config: dict = {},
    cluster: dict = {"nodes": 1},
    task_config: dsl.TaskConfig = None,
) -> None:
    """Fit a network to a preprocessed table in a Kubeflow TrainJob, with what is set on the step on the job's pods.

    GPUs, memory, tolerations, node selector and affinity of the step go to the job alone: the step's own pod only
    waits. Environment variables and volumes go to both.

    Args:
        train: Rows to learn from, as preprocess_table writes them.
        validation: Rows that choose the best epoch.
        preprocessor: How columns become numbers, learned from the same training rows.
        epochs: Most passes over the training rows; 0 has it chosen by the table's size.
        seed: Seed of initial weights, shuffling and dropout.
        config: Network and optimiser settings; see `python -m ropewalk.training --help`.
        cluster: Fields of TrainJobConfig, such as {"nodes": 2, "secret_env": {"AWS_ACCESS_KEY_ID": "store/access"}}.
        task_config: What was set on the step; KFP fills it in.

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
        step=vars(task_config),
    )
    model.metadata.update(manifest.metadata())
