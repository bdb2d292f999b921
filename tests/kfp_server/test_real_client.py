"""KFP's own client works with the test server, which holds all it sends and gets against the published contract."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from kfp_server import contract
from kfp_server.server import KfpServer, serve

TRAINING = Path(__file__).parents[1] / "pipelines" / "golden" / "training.yaml"


@pytest.fixture
def api() -> Iterator[KfpServer]:
    with serve() as server:
        yield server


@pytest.fixture
def client(api: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    import kfp

    # It keeps a namespace in the home folder: that of the person must not reach the test.
    monkeypatch.setattr(kfp.Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return kfp.Client(host=api.url, namespace="")


def test_a_pipeline_is_uploaded_once_and_then_by_version(api, client):
    import kfp_server_api

    pipeline = client.upload_pipeline(str(TRAINING), "training")
    with pytest.raises(kfp_server_api.ApiException, match="409"):
        client.upload_pipeline(str(TRAINING), "training")
    client.upload_pipeline_version(str(TRAINING), "second", pipeline_id=pipeline.pipeline_id)
    assert client.get_pipeline_id("training") == pipeline.pipeline_id
    versions = client.list_pipeline_versions(pipeline.pipeline_id, sort_by="created_at desc").pipeline_versions
    assert {version.display_name for version in versions} == {"training", "second"}


def test_a_run_is_created_and_waited_for(api, client):
    api.state.plan.tasks_per_look = 100
    result = client.create_run_from_pipeline_package(str(TRAINING), arguments={"epochs": 3}, run_name="first")
    run = client.wait_for_run_completion(result.run_id, timeout=30, sleep_duration=0.01)
    assert run.state == "SUCCEEDED"
    assert run.runtime_config.parameters == {"epochs": 3}
    assert {"train-model", "train-model-driver", "executor"} <= {
        task.display_name for task in run.run_details.task_details
    }


def test_a_run_is_pinned_to_the_version_that_was_the_newest(api, client):
    pipeline = client.upload_pipeline(str(TRAINING), "training")
    experiment = client.create_experiment("work")
    version = client.upload_pipeline_version(str(TRAINING), "second", pipeline_id=pipeline.pipeline_id)
    run = client.run_pipeline(
        experiment.experiment_id, "pinned", pipeline_id=pipeline.pipeline_id, version_id=version.pipeline_version_id
    )
    client.upload_pipeline_version(str(TRAINING), "third", pipeline_id=pipeline.pipeline_id)
    found = client.get_run(run.run_id).pipeline_version_reference
    assert found.pipeline_version_id == version.pipeline_version_id


def test_lists_come_a_page_at_a_time(api, client):
    for number in range(5):
        client.create_experiment(f"e{number}")
    first = client.list_experiments(page_size=2)
    second = client.list_experiments(page_size=2, page_token=first.next_page_token)
    assert first.total_size == 5
    assert len({one.experiment_id for one in first.experiments + second.experiments}) == 4


def test_recurring_runs_are_created_disabled_and_deleted(api, client):
    pipeline = client.upload_pipeline(str(TRAINING), "training")
    experiment = client.create_experiment("work")
    made = client.create_recurring_run(
        experiment.experiment_id,
        "nightly",
        cron_expression="0 0 3 * * *",
        pipeline_id=pipeline.pipeline_id,
        version_id=next(iter(api.state.versions)),
    )
    client.disable_recurring_run(made.recurring_run_id)
    assert client.get_recurring_run(made.recurring_run_id).status == "DISABLED"
    client.delete_recurring_run(made.recurring_run_id)
    assert client.list_recurring_runs().total_size == 0


def test_a_request_that_breaks_the_contract_is_told():
    if not contract.present():
        pytest.skip(contract.ABSENT)
    body = {"display_name": "x", "runtime_config": {"params": {}}, "max": 1}
    _, problems = contract.request_problems("POST", "/apis/v2beta1/runs", {"experiment": ["e"]}, body, set())
    told = "\n".join(problems)
    assert "'params' was unexpected" in told
    assert "'max' was unexpected" in told
    assert "unknown query parameter 'experiment'" in told


def test_an_answer_that_breaks_the_contract_is_told():
    if not contract.present():
        pytest.skip(contract.ABSENT)
    problems = contract.response_problems("RunService_GetRun", 200, {"run_id": 5, "state": "DONE", "created_at": "now"})
    assert len(problems) == 3, problems
