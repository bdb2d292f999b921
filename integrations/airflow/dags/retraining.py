"""Retrains a model every night: submits Ropewalk's training pipeline to Kubeflow Pipelines and follows it.

Copy this file into the DAGs folder. Two variables in the environment of Airflow say where to look: ROPEWALK_PIPELINE,
the compiled pipeline, and ROPEWALK_PROFILE, the profile whose kfp section leads to the server.
"""

import os
from datetime import datetime, timedelta

from airflow.sdk import DAG, Param
from ropewalk_airflow import RunSensor, SubmitPipelineOperator

PIPELINE = os.environ.get("ROPEWALK_PIPELINE", "/opt/ropewalk/training.yaml")
PROFILE = os.environ.get("ROPEWALK_PROFILE", "")

with DAG(
    dag_id="retraining",
    description="Train on the newest data; a new model is used only if it is no worse than the one in use.",
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5), "retry_exponential_backoff": True},
    params={
        "data": Param(
            "sample:breast_cancer", type="string", description="A Git repository, a file or folder, or a sample."
        ),
        "data_path": Param("", type="string", description="The table's path in the repository."),
        "target": Param("", type="string", description="Column to predict; only samples know theirs."),
        "model_name": Param("model", type="string", description="Name under which the model is registered."),
        "epochs": Param(0, type="integer", minimum=0, description="Most passes over the rows; 0 has it chosen."),
    },
    tags=["ropewalk"],
) as dag:
    submit = SubmitPipelineOperator(
        task_id="submit",
        pipeline=PIPELINE,
        profile=PROFILE,
        wait=False,
        parameters={
            name: "{{ params." + name + " }}" for name in ("data", "data_path", "target", "model_name", "epochs")
        },
    )
    # No worker is held while the run goes on. One that failed is for a person to look at: clear both tasks then.
    RunSensor(
        task_id="follow", run_id=submit.output, profile=PROFILE, cancel_on_kill=True, retries=0, timeout=12 * 3600
    )
