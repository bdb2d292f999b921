"""KFP interface of `ropewalk.registry`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.REGISTER, install_kfp_package=False)
def register_model(
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Dataset],
    report: dsl.Input[dsl.HTML],
    name: str = "model",
    run_id: str = "",
    run_name: str = "",
    mlflow_tracking_uri: str = "",
    trials: dsl.Input[dsl.Dataset] = None,
) -> NamedTuple("Outputs", [("model_name", str), ("version", str), ("model_uri", str), ("mlflow_run_id", str)]):
    """Record parameters, metrics and reports in MLflow and register the model: one run, one version, however often tried.

    Args:
        model: Model, as train_model writes it.
        evaluation: Evaluation of that model, as evaluate_model writes it.
        report: HTML page of the evaluation.
        name: Name of the registered model: letters, digits, spaces, '.', '_' and '-'.
        run_id: Id of the pipeline run; empty: the model's digest.
        run_name: Name of the run for people; empty: its id.
        mlflow_tracking_uri: MLflow server; empty: MLFLOW_TRACKING_URI, else the embedded store of a local run.
        trials: Trials of which the model is the best, as tune_model writes them: recorded as runs inside the run; absent: none.

    Returns:
        model_name: Name of the registered model.
        version: Its new version, a whole number.
        model_uri: What to load by MLflow, models:/<name>/<version>.
        mlflow_run_id: MLflow run with parameters, metrics and reports.
    """
    from pathlib import Path

    from ropewalk.registry.register import register

    registered = register(
        Path(model.path),
        Path(evaluation.path),
        Path(report.path),
        name=name,
        run_id=run_id,
        run_name=run_name,
        tracking_uri=mlflow_tracking_uri,
        trials=getattr(trials, "path", ""),
    )
    return (registered.name, registered.version, registered.model_uri, registered.mlflow_run_id)
