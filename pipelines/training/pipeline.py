"""Pipeline `training`: from a versioned table to a registered model."""

from kfp import dsl

from ropewalk.components import (
    check_config,
    register_model,
    report_run,
    train_model,
    version_results,
)
from ropewalk.pipelines.stages import judge_model, split_table


@dsl.pipeline(name="training", display_name="Ropewalk: training")
def training(
    data: str = "sample:breast_cancer",
    data_path: str = "",
    data_revision: str = "",
    target: str = "",
    task: str = "auto",
    time_column: str = "",
    epochs: int = 0,
    seed: int = 0,
    model_name: str = "model",
    mlflow_tracking_uri: str = "",
    config: dict = {},
    push_to: str = "",
) -> None:
    """Turn a versioned table into an evaluated model in a registry. Press start to try it on a bundled sample.

    Args:
        data: A Git repository (URL or folder), a table file or a folder of them (CSV, CSV.gz, Parquet), or sample:breast_cancer, sample:wine, sample:diabetes.
        data_path: The table's path in the repository, tracked by DVC or Git; empty when data is a file, folder or sample.
        data_revision: Branch, tag or commit of the repository; empty for its default branch.
        target: Column to predict; only samples know theirs.
        task: "binary", "multiclass", "regression", or "auto" to have it told from the target's values.
        time_column: Column to split by time, so that the model is tested on the latest rows; empty splits by a hash of each row.
        epochs: Most passes over the training rows; 0 has it chosen by the table's size.
        seed: Seed of initial weights, shuffling and dropout.
        model_name: Name under which the model is registered in MLflow.
        mlflow_tracking_uri: MLflow server, without credentials; empty for MLFLOW_TRACKING_URI, else a store on this machine.
        config: Further settings as JSON, per section, such as {"training": {"dropout": 0.3}, "data": {"reference_revision": "v1.0"}}.
        push_to: Git and DVC repository that takes the splits and the model (with its preprocessor) as new versions under ropewalk/<model_name>; empty for none.
    """
    summary = report_run(
        pipeline="training",
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
            push_to=push_to,
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
        trained = train_model(
            train=split.outputs["train"],
            validation=split.outputs["validation"],
            preprocessor=split.outputs["preprocessor"],
            epochs=epochs,
            seed=seed,
            config=checked.outputs["training"],
        )
        evaluated = judge_model(
            trained, split, model_name=model_name, mlflow_tracking_uri=mlflow_tracking_uri, checked=checked
        )
        register_model(
            model=trained.outputs["model"],
            evaluation=evaluated.outputs["evaluation"],
            report=evaluated.outputs["report"],
            name=model_name,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            mlflow_tracking_uri=mlflow_tracking_uri,
        )
        with dsl.If(push_to != "", name="push"):
            versioned = version_results(
                train=split.outputs["train"],
                validation=split.outputs["validation"],
                test=split.outputs["test"],
                model=trained.outputs["model"],
                repository=push_to,
                name=model_name,
            )
            # Whether the repository has these bytes already, only the repository knows.
            versioned.set_caching_options(False)
