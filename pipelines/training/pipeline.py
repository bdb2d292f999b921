"""Pipeline `training`: from a versioned table to a registered model."""

from kfp import dsl

from ropewalk.components import (
    check_config,
    evaluate_model,
    fetch_champion,
    preprocess_table,
    pull_data,
    register_model,
    report_run,
    resolve_data,
    train_model,
    validate_data,
    version_results,
)


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
        split = preprocess_table(
            data=pulled.outputs["data"],
            target=validated.outputs["target"],
            task=validated.outputs["task"],
            time_column=time_column,
            config=checked.outputs["preprocess"],
        )
        trained = train_model(
            train=split.outputs["train"],
            validation=split.outputs["validation"],
            preprocessor=split.outputs["preprocessor"],
            epochs=epochs,
            seed=seed,
            config=checked.outputs["training"],
        )
        in_use = fetch_champion(name=model_name, mlflow_tracking_uri=mlflow_tracking_uri)
        in_use.after(trained)
        # Another model may be the champion by the next run.
        in_use.set_caching_options(False)
        evaluated = evaluate_model(
            model=trained.outputs["model"],
            train=split.outputs["train"],
            test=split.outputs["test"],
            champion=in_use.outputs["champion"],
            config=checked.outputs["evaluation"],
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
