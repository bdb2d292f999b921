"""KFP interface of `ropewalk.check`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.TABLES, install_kfp_package=False)
def check_config(
    config: dict = {},
    data: str = "",
    task: str = "auto",
    epochs: int = 0,
    model_name: str = "model",
    mlflow_tracking_uri: str = "",
    push_to: str = "",
    search: dict = {},
    max_trials: int = 0,
) -> NamedTuple(
    "Outputs",
    [
        ("data", dict),
        ("validation", dict),
        ("preprocess", dict),
        ("training", dict),
        ("tuning", dict),
        ("evaluation", dict),
    ],
):
    """Refuse wrong settings before any work starts, and hand each step its own part of them.

    Args:
        config: Sections "data", "validation", "preprocess", "training", "tuning" and "evaluation", each an object of settings.
        data: Where the data are kept.
        task: "auto", "binary", "multiclass" or "regression".
        epochs: Most passes over the training rows; 0 has it chosen by the table's size.
        model_name: Name in the model registry.
        mlflow_tracking_uri: Where to record the model. No address may hold credentials.
        push_to: Where to version what is made.
        search: Search space of tune_model.
        max_trials: Trials of tune_model; 0 when nothing is searched.

    Returns:
        data: Settings of resolve_data.
        validation: Settings of validate_data.
        preprocess: Settings of preprocess_table.
        training: Settings of train_model, or of every trial of tune_model.
        tuning: Settings of tune_model.
        evaluation: Settings of evaluate_model.
    """
    from ropewalk.check.check import check

    sections = check(
        config,
        data=data,
        task=task,
        epochs=epochs,
        model_name=model_name,
        mlflow_tracking_uri=mlflow_tracking_uri,
        push_to=push_to,
        search=search,
        max_trials=max_trials,
    )
    return tuple(sections[name] for name in ("data", "validation", "preprocess", "training", "tuning", "evaluation"))
