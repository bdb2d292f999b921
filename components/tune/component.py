"""KFP interface of `ropewalk.tuning`: types, defaults and docs, no logic."""

from typing import NamedTuple

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
def tune_model(
    train: dsl.Input[dsl.Dataset],
    validation: dsl.Input[dsl.Dataset],
    preprocessor: dsl.Input[dsl.Model],
    model: dsl.Output[dsl.Model],
    trials: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    search: dict = {},
    max_trials: int = 12,
    epochs: int = 0,
    seed: int = 0,
    engine: str = "auto",
    config: dict = {},
    training: dict = {},
    cluster: dict = {},
    task_config: dsl.TaskConfig = None,
) -> NamedTuple("Outputs", [("best_parameters", dict), ("best_value", float), ("best_trial", str)]):
    """Train models with different settings and keep the best one: on this machine, or on a cluster by Katib.

    Trials read the same splits, checked by digest. Killed and run again, no finished trial is repeated. Where Katib
    runs the trials, GPUs, memory, tolerations, node selector and affinity of the step go to their pods alone.

    Args:
        train: Rows to learn from, as preprocess_table writes them.
        validation: Rows that choose the best epoch, and the best trial.
        preprocessor: How columns become numbers, learned from the same training rows.
        search: Settings of the training with what they may be, such as {"learning_rate": {"min": 1e-4, "max": 1e-2, "distribution": "logUniform"}, "width": {"values": [128, 256]}}; empty for a space around the architecture's defaults.
        max_trials: Trials in all.
        epochs: Most passes of each trial over the training rows; 0 has it chosen by the table's size.
        seed: Seed of suggestions, initial weights, shuffling and dropout.
        engine: "local" runs trials in this pod or on this machine, "katib" on the cluster; "auto" is the profile's, else katib where the cluster has it.
        config: Further settings: algorithm, objective, goal, parallel, limits, or a whole Katib Experiment; see docs/tuning.md.
        training: Network and optimiser settings that are the same in every trial; see `python -m ropewalk.training --help`.
        cluster: The profile's settings: engine, kind and pods of trials, where they find the data.
        task_config: What was set on the step; KFP fills it in.

    Returns:
        model: The best trial's model, with the preprocessor: takes raw columns. No pickle.
        trials: One row per trial, as CSV, Parquet and JSON, with the experiment.
        report: Page with the best parameters, what mattered, and all trials.
        metrics: The best value, and how many trials ended how.
        best_parameters: The best trial's parameters, in their own types.
        best_value: The best trial's value of the objective.
        best_trial: The best trial's name.
    """
    from ropewalk.tuning.launch import Location, tune_by_profile

    artifacts = (train, validation, preprocessor, model, trials, report)
    settings = {"search": search, "max_trials": max_trials, "epochs": epochs, "seed": seed, "engine": engine}
    tuned = tune_by_profile(
        *(Location(artifact.path, artifact.uri) for artifact in artifacts),
        **settings,
        config=config,
        training=training,
        cluster=cluster,
        step=vars(task_config),
    )
    model.metadata.update(tuned.model.metadata())
    trials.metadata.update(tuned.trials.metadata())
    metrics.metadata.update(tuned.metrics)
    return (tuned.result.best_parameters, tuned.result.best_value, tuned.result.best_trial)
