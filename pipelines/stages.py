"""Stages: runs of steps that pipelines share, wired once. To be called inside a pipeline's function."""

from kfp import dsl

from ropewalk.components import (
    evaluate_model,
    fetch_champion,
    preprocess_table,
    pull_data,
    resolve_data,
    validate_data,
)


def split_table(
    *,
    data: str,
    data_path: str,
    data_revision: str,
    target: str,
    task: str,
    time_column: str,
    checked: dsl.PipelineTask,
) -> dsl.PipelineTask:
    """Add the steps from where a table is kept to its splits.

    Args:
        data: Parameter of the pipeline, as all that follow.
        data_path: Path in the repository.
        data_revision: Branch, tag or commit.
        target: Column to predict.
        task: Kind of target.
        time_column: Column to split by time.
        checked: The task of check_config, which has each step's settings.

    Returns:
        The task of preprocess_table.
    """
    resolved = resolve_data(source=data, path=data_path, revision=data_revision, config=checked.outputs["data"])
    # A branch or a file may hold other bytes tomorrow; what is pulled by commit and hash is not pulled twice.
    resolved.set_caching_options(False)
    pulled = pull_data(
        source=data,
        path=data_path,
        revision=resolved.outputs["revision"],
        pattern=resolved.outputs["pattern"],
        cache=resolved.outputs["cache"],
        expected_hash=resolved.outputs["hash"],
        reference_revision=resolved.outputs["reference_revision"],
    )
    validated = validate_data(
        data=pulled.outputs["data"],
        reference=pulled.outputs["reference"],
        target=target,
        task=task,
        config=checked.outputs["validation"],
    )
    return preprocess_table(
        data=pulled.outputs["data"],
        target=validated.outputs["target"],
        task=validated.outputs["task"],
        time_column=time_column,
        config=checked.outputs["preprocess"],
    )


def judge_model(
    made: dsl.PipelineTask,
    split: dsl.PipelineTask,
    *,
    model_name: str,
    mlflow_tracking_uri: str,
    checked: dsl.PipelineTask,
) -> dsl.PipelineTask:
    """Add the steps that compare a new model with the champion on the test split.

    Args:
        made: The task with the output `model`.
        split: The task of preprocess_table.
        model_name: Parameter of the pipeline, as the next.
        mlflow_tracking_uri: Where the champion is registered.
        checked: The task of check_config.

    Returns:
        The task of evaluate_model.
    """
    in_use = fetch_champion(name=model_name, mlflow_tracking_uri=mlflow_tracking_uri)
    in_use.after(made)
    # Another model may be the champion by the next run.
    in_use.set_caching_options(False)
    return evaluate_model(
        model=made.outputs["model"],
        train=split.outputs["train"],
        test=split.outputs["test"],
        champion=in_use.outputs["champion"],
        config=checked.outputs["evaluation"],
    )
