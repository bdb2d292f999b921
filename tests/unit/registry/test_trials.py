"""The trials of a search are runs inside the pipeline's run: each once, however often they are recorded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ropewalk.artifacts import MODEL, TRIALS, read_artifact, write_artifact
from ropewalk.errors import ArtifactError, RopewalkError
from ropewalk.registry.register import register
from ropewalk.tracking import connect


@pytest.fixture
def make_trials(tmp_path: Path) -> Callable[[Path], Path]:
    """Return a function that writes the trials of which a model is the best, in the form that tuning gives them."""

    def make(model: Path) -> Path:
        states = ["succeeded", "succeeded", "failed", "early_stopped"]
        entries = [
            {
                "number": number,
                "name": f"tune-1234abcd-{number:04}",
                "state": state,
                "parameters": {"dropout": number / 10, "architecture": "mlp"},
                "metrics": {"validation_loss": 0.5 - number / 10} if state != "failed" else {},
                "started": 1.7e9 + number,
                "seconds": 2.5,
                "message": "exit code 1" if state == "failed" else "",
            }
            for number, state in enumerate(states)
        ]
        entries.append({**entries[0], "number": 4, "name": "tune-1234abcd-0004", "state": "stopped", "started": None})
        with write_artifact(tmp_path / "trials", TRIALS) as draft:
            (draft.folder / "trials.json").write_text(json.dumps(entries))
            (draft.folder / "trials.csv").write_text("number\n0\n")
            draft.facts.update(
                engine="local",
                experiment="tune-1234abcd",
                algorithm="tpe",
                objective="validation_loss",
                direction="minimize",
                best_trial="tune-1234abcd-0001",
                best_value=0.4,
                model_digest=read_artifact(model, MODEL).digest,
            )
        return tmp_path / "trials"

    return make


@pytest.fixture
def subject(
    make_model: Callable[..., Path],
    make_evaluation: Callable[..., Path],
    report: Path,
    make_trials: Callable[[Path], Path],
) -> dict[str, object]:
    model = make_model()
    paths = {"model": model, "evaluation": make_evaluation(model), "report": report}
    return {**paths, "trials": str(make_trials(model)), "name": "houses", "run_id": "r1"}


def children(store: str, parent: str) -> dict[str, object]:
    client = connect(store)
    experiment = client.get_run(parent).info.experiment_id
    found = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    return {run.data.tags["ropewalk.trial"]: run for run in found}


def test_each_trial_is_a_run_below_the_pipelines_with_links_both_ways(store: str, subject: dict) -> None:
    done = register(**subject)
    found = children(store, done.mlflow_run_id)
    assert {name: run.info.status for name, run in found.items()} == {
        "tune-1234abcd-0000": "FINISHED",
        "tune-1234abcd-0001": "FINISHED",
        "tune-1234abcd-0002": "FAILED",
        "tune-1234abcd-0003": "KILLED",
    }
    second = found["tune-1234abcd-0001"]
    assert second.data.params == {"dropout": "0.1", "architecture": "mlp"}
    assert second.data.metrics == {"validation_loss": 0.4}
    assert (second.info.start_time, second.info.end_time) == (1_700_000_001_000, 1_700_000_003_500)
    assert second.data.tags["ropewalk.pipeline_run_id"] == "r1"
    assert second.data.tags["ropewalk.tuning.best"] == "true"
    assert found["tune-1234abcd-0002"].data.tags["ropewalk.trial_message"] == "exit code 1"
    parent = connect(store).get_run(done.mlflow_run_id)
    assert parent.data.tags["ropewalk.run_id"] == "r1"
    assert parent.data.tags["ropewalk.tuning.best_trial"] == "tune-1234abcd-0001"
    path = connect(store).download_artifacts(done.mlflow_run_id, "trial_runs.json")
    assert json.loads(Path(path).read_text()) == {name: run.info.run_id for name, run in found.items()}


def test_recording_again_changes_nothing(store: str, subject: dict) -> None:
    first = register(**subject)
    before = {name: run.to_dictionary() for name, run in children(store, first.mlflow_run_id).items()}
    assert register(**subject) == first
    assert {name: run.to_dictionary() for name, run in children(store, first.mlflow_run_id).items()} == before


def test_a_step_that_broke_off_between_two_trials_goes_on_with_the_same_runs(
    store: str, subject: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    log_batch = MlflowClient.log_batch

    def broken(self: MlflowClient, run_id: str, **content: object) -> None:
        asked.append(run_id)
        # The parent's two, the first trial's, then the connection breaks.
        if len(asked) == 4:
            raise MlflowException("the connection broke")
        log_batch(self, run_id, **content)

    monkeypatch.setattr(MlflowClient, "log_batch", broken)
    with pytest.raises(RopewalkError, match="the connection broke"):
        register(**subject)
    monkeypatch.undo()
    done = register(**subject, tracking_uri=store)
    found = children(store, done.mlflow_run_id)
    assert len(found) == 4
    assert found["tune-1234abcd-0001"].info.run_id == asked[3]
    assert found["tune-1234abcd-0001"].data.params["dropout"] == "0.1"


def test_trials_of_another_model_are_refused_before_anything_is_recorded(
    store: str, subject: dict, make_model: Callable[..., Path], make_trials: Callable[[Path], Path]
) -> None:
    make_trials(make_model("other", seed=1))
    with pytest.raises(ArtifactError, match="has the trials of another model"):
        register(**subject)
    assert connect(store).search_registered_models() == []
