"""Pipeline `tuning`: from a versioned table to the registered best of many models."""

from kfp import dsl

from ropewalk.components import (
    check_config,
    register_model,
    report_run,
    tune_model,
)
from ropewalk.pipelines.stages import judge_model, split_table


@dsl.pipeline(name="tuning", display_name="Ropewalk: tuning")
def tuning(
    data: str = "sample:breast_cancer",
    data_path: str = "",
    data_revision: str = "",
    target: str = "",
    task: str = "auto",
    time_column: str = "",
    search: dict = {},
    max_trials: int = 12,
    epochs: int = 0,
    model_name: str = "model",
    mlflow_tracking_uri: str = "",
    config: dict = {},
) -> None:
    """Search for the best settings of a model on a versioned table, and put the model into a registry. Press start to try it.

    Args:
        data: A Git repository (URL or folder), a table file or a folder of them (CSV, CSV.gz, Parquet), or sample:breast_cancer, sample:wine, sample:diabetes.
        data_path: The table's path in the repository, tracked by DVC or Git; empty when data is a file, folder or sample.
        data_revision: Branch, tag or commit of the repository; empty for its default branch.
        target: Column to predict; only samples know theirs.
        task: "binary", "multiclass", "regression", or "auto" to have it told from the target's values.
        time_column: Column to split by time, so that the model is tested on the latest rows; empty splits by a hash of each row.
        search: Training settings with what they may be, such as {"dropout": {"min": 0, "max": 0.5}, "width": {"values": [128, 256]}}; empty for a space around the architecture's defaults.
        max_trials: Models to train.
        epochs: Most passes of each trial over the training rows; 0 has it chosen by the table's size.
        model_name: Name under which the model is registered in MLflow.
        mlflow_tracking_uri: MLflow server, without credentials; empty for MLFLOW_TRACKING_URI, else a store on this machine.
        config: Further settings as JSON, per section, such as {"tuning": {"algorithm": "random", "parallel": 2}, "training": {"architecture": "gbdt"}}.
    """
    summary = report_run(
        pipeline="tuning",
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
    )
    with dsl.ExitHandler(summary):
        checked = check_config(
            config=config,
            data=data,
            task=task,
            epochs=epochs,
            model_name=model_name,
            mlflow_tracking_uri=mlflow_tracking_uri,
            search=search,
            max_trials=max_trials,
        )
        split = split_table(
            data=data,
            data_path=data_path,
            data_revision=data_revision,
            target=target,
            task=task,
            time_column=time_column,
            checked=checked,
        )
        tuned = tune_model(
            train=split.outputs["train"],
            validation=split.outputs["validation"],
            preprocessor=split.outputs["preprocessor"],
            search=search,
            max_trials=max_trials,
            epochs=epochs,
            config=checked.outputs["tuning"],
            training=checked.outputs["training"],
        )
        evaluated = judge_model(
            tuned, split, model_name=model_name, mlflow_tracking_uri=mlflow_tracking_uri, checked=checked
        )
        register_model(
            model=tuned.outputs["model"],
            evaluation=evaluated.outputs["evaluation"],
            report=evaluated.outputs["report"],
            trials=tuned.outputs["trials"],
            name=model_name,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            mlflow_tracking_uri=mlflow_tracking_uri,
        )
