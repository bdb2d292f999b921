import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from ropewalk.errors import ArtifactError, ConfigError, ServiceError, StorageError, TrackingError
from ropewalk.evaluation.catalog import headline
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.evaluate import evaluate
from ropewalk.preprocess.splits import read_split
from ropewalk.registry.catalog import roll_back
from ropewalk.registry.frames import predict_frame
from ropewalk.registry.register import Registered, register
from ropewalk.tracking import connect
from ropewalk.training.model import load_model


def versions(store: str) -> list[str]:
    return sorted(str(version.version) for version in connect(store).search_model_versions())


def aliases(store: str) -> dict[str, str]:
    found = connect(store).get_registered_model("houses").aliases
    return {alias: str(version) for alias, version in found.items()}


def test_a_model_is_registered_with_metrics_lineage_and_reports(store: str, subject: tuple[Path, Path, Path]) -> None:
    done = register(*subject, name="houses", run_id="r1", run_name="first")
    assert done == Registered(
        name="houses",
        version="1",
        alias="champion",
        note="",
        model_uri="models:/houses/1",
        mlflow_run_id=done.mlflow_run_id,
        tracking_uri=store,
    )
    client = connect(store)
    run = client.get_run(done.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["training.best_epoch"] == "2"
    assert run.data.metrics["roc_auc"] == 0.91
    assert run.data.metrics["baseline.majority.roc_auc"] == 0.5
    assert [point.step for point in client.get_metric_history(run.info.run_id, "training.train_loss")] == [1, 2, 3]
    assert run.data.tags["data.commit"] == "c" * 40
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
        "report.html",
        "decision.json",
        "metrics.json",
    }
    version = client.get_model_version("houses", "1")
    assert (version.run_id, version.tags["ropewalk.run_id"]) == (run.info.run_id, "r1")
    assert "| roc_auc | 0.91 |" in version.description
    assert sorted(client.get_registered_model("houses").aliases) == ["challenger", "champion"]
    assert 'load_model("models:/houses@champion")' in client.get_registered_model("houses").description


def test_registering_again_changes_nothing(store: str, subject: tuple[Path, Path, Path]) -> None:
    first = register(*subject, name="houses", run_id="r1")
    assert register(*subject, name="houses", run_id="r1") == first
    client = connect(store)
    experiment = client.get_experiment_by_name("ropewalk").experiment_id
    assert versions(store) == ["1"]
    assert len(client.search_runs([experiment])) == 1
    assert len(client.search_logged_models([experiment])) == 1
    assert len(client.get_metric_history(first.mlflow_run_id, "roc_auc")) == 1


def test_without_a_run_id_the_same_model_is_registered_once(
    store: str,
    subject: tuple[Path, Path, Path],
    make_model: Callable[..., Path],
    make_evaluation: Callable[..., Path],
) -> None:
    other = make_model("other", seed=1)
    assert [register(*subject).version for _ in range(2)] == ["1", "1"]
    assert register(other, make_evaluation(other), subject[2]).version == "2"


def test_the_first_promoted_version_is_the_champion_and_one_that_was_not_compared_with_it_changes_nothing(
    store: str,
    subject: tuple[Path, Path, Path],
    make_model: Callable[..., Path],
    make_evaluation: Callable[..., Path],
) -> None:
    weak = make_model("weak", seed=1)
    held = register(weak, make_evaluation(weak, verdict="hold"), subject[2], name="houses", run_id="r1")
    assert held.alias == "challenger"
    assert register(*subject, name="houses", run_id="r2").alias == "champion"
    good = make_model("good", seed=2)
    assert register(good, make_evaluation(good), subject[2], name="houses", run_id="r3").alias == "challenger"
    assert aliases(store) == {"champion": "2", "challenger": "3"}
    again = register(weak, make_evaluation(weak, verdict="hold"), subject[2], name="houses", run_id="r1")
    assert again.alias == ""
    assert aliases(store) == {"champion": "2", "challenger": "3"}


def test_a_version_that_beat_the_champion_replaces_it_once_whatever_comes_later(
    store: str,
    subject: tuple[Path, Path, Path],
    make_model: Callable[..., Path],
    make_evaluation: Callable[..., Path],
) -> None:
    register(*subject, name="houses", run_id="r1")
    better, late = make_model("better", seed=1), make_model("late", seed=2)
    champion = {"version": "1", "digest": "d", "problem": ""}
    judged = make_evaluation(better, champion=champion)
    done = register(better, judged, subject[2], name="houses", run_id="r2")
    assert (done.alias, done.note) == ("champion", "")
    assert aliases(store) == {"challenger": "2", "champion": "2", "previous-champion": "1"}
    found = register(late, make_evaluation(late, champion=champion), subject[2], name="houses", run_id="r3")
    assert found.alias == "challenger"
    assert found.note.startswith("The champion is version 2 now, but version 3 was compared with version 1.")
    roll_back("houses")
    assert register(better, judged, subject[2], name="houses", run_id="r2").alias == ""
    assert aliases(store) == {"challenger": "3", "champion": "1"}


def test_a_full_disk_fails_the_run_and_the_next_attempt_makes_it_good(
    store: str, subject: tuple[Path, Path, Path]
) -> None:
    subject[2].write_text("x" * 4_000_000, encoding="utf-8")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
    try:
        with pytest.raises(StorageError, match="Free some space"):
            register(*subject, name="houses", run_id="r1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    client = connect(store)
    (run,) = client.search_runs([client.get_experiment_by_name("ropewalk").experiment_id])
    assert run.info.status == "FAILED"
    assert register(*subject, name="houses", run_id="r1").version == "1"


def test_a_name_with_dots_and_spaces_is_registered(store: str, subject: tuple[Path, Path, Path]) -> None:
    assert register(*subject, name="Häuser v2.1 - für_alle", run_id="r1").alias == "champion"


CALLS = [
    "create_run",
    "log_batch",
    "log_artifacts",
    "create_registered_model",
    "create_logged_model",
    "log_outputs",
    "log_model_artifacts",
    "finalize_logged_model",
    "create_model_version",
    "set_registered_model_alias",
    "set_terminated",
]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_a_step_killed_around_any_call_is_made_good_by_the_next_attempt(
    call: str, moment: str, store: str, subject: tuple[Path, Path, Path]
) -> None:
    real = getattr(MlflowClient, call)

    def killed(*arguments: object, **named: object) -> None:
        if moment == "after":
            real(*arguments, **named)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, call, killed)
        register(*subject, name="houses", run_id="r1")
    done = register(*subject, name="houses", run_id="r1")
    client = connect(store)
    experiment = client.get_experiment_by_name("ropewalk").experiment_id
    assert (done.version, versions(store), done.alias) == ("1", ["1"], "champion")
    assert [run.info.status for run in client.search_runs([experiment])] == ["FINISHED"]
    assert len(client.search_logged_models([experiment])) == 1
    assert len(mlflow.artifacts.list_artifacts(client.get_model_version("houses", "1").source, tracking_uri=store)) > 3


def test_twenty_attempts_at_once_register_one_version(store: str, race: Callable[..., set[str]]) -> None:
    assert len(race(20, name="houses", run_id="r1", uri=store)) == 1
    client = connect(store)
    experiment = client.get_experiment_by_name("ropewalk").experiment_id
    assert versions(store) == ["1"]
    assert [run.info.status for run in client.search_runs([experiment])] == ["FINISHED"]
    assert len(client.search_logged_models([experiment])) == 1


def test_the_twin_of_a_request_that_was_sent_twice_is_removed(
    store: str, subject: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MlflowClient.create_model_version

    def twice(*arguments: object, **named: object) -> object:
        real(*arguments, **named)
        return real(*arguments, **named)

    monkeypatch.setattr(MlflowClient, "create_model_version", twice)
    assert register(*subject, name="houses", run_id="r1").version == "1"
    assert versions(store) == ["1"]


def test_another_model_of_the_same_run_under_the_same_name_is_refused(
    store: str,
    subject: tuple[Path, Path, Path],
    make_model: Callable[..., Path],
    make_evaluation: Callable[..., Path],
) -> None:
    register(*subject, name="houses", run_id="r1")
    other = make_model("other", seed=1)
    with pytest.raises(TrackingError, match=r"already registered another model as version 1 of 'houses'"):
        register(other, make_evaluation(other), subject[2], name="houses", run_id="r1")


def test_the_evaluation_of_another_model_is_refused(
    store: str, subject: tuple[Path, Path, Path], make_model: Callable[..., Path]
) -> None:
    with pytest.raises(ArtifactError, match="evaluates another model"):
        register(make_model("other", seed=1), *subject[1:])


def test_an_altered_model_is_refused_before_anything_is_recorded(store: str, subject: tuple[Path, Path, Path]) -> None:
    (subject[0] / "history.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"history\.json"):
        register(*subject)
    assert connect(store).get_experiment_by_name("ropewalk") is None


def test_a_name_that_no_registry_takes_is_refused(store: str, subject: tuple[Path, Path, Path]) -> None:
    with pytest.raises(ConfigError, match="'a-b'"):
        register(*subject, name="a/b")


def test_a_server_that_is_down_is_a_service_error(store: str, subject: tuple[Path, Path, Path]) -> None:
    with pytest.raises(ServiceError, match="127"):
        register(*subject, tracking_uri="http://127.0.0.1:9")


def test_the_command_line_registers_and_says_where(store: str, subject: tuple[Path, Path, Path]) -> None:
    flags = [f"--{name}={path}" for name, path in zip(("model", "evaluation", "report"), subject, strict=True)]
    done = subprocess.run(
        [sys.executable, "-m", "ropewalk.registry", "register", *flags, "--name=houses"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"model_uri": "models:/houses/1"' in done.stdout
    assert done.stderr == ""


LOADED_ALONE = """
import json, sys
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
scores = model.predict(pd.read_json(sys.argv[2], orient="split", convert_dates=False))
import ropewalk
print(json.dumps({"library": ropewalk.__file__, "scores": scores.to_dict("list")}))
"""


def loaded_alone(done: Registered, rows: pd.DataFrame, *, folder: Path, store: str) -> dict[str, list]:
    """Scores of a registered model in a process where Ropewalk is not installed and pickle is forbidden."""
    (folder / "rows.json").write_text(rows.to_json(orient="split"), encoding="utf-8")
    # -S leaves out the .pth files by which a checkout is installed, so `ropewalk` can only come from the model.
    found = subprocess.run(
        [sys.executable, "-S", "-c", LOADED_ALONE, done.model_uri, str(folder / "rows.json")],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(np.__file__).parents[1]),
            "MLFLOW_TRACKING_URI": store,
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout.splitlines()[-1])
    assert told["library"].startswith(str(folder / "home" / "mlartifacts"))
    return told["scores"]


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_registered_model_works_where_ropewalk_is_not_installed_and_pickle_is_forbidden(
    task: str,
    store: str,
    tmp_path: Path,
    make_model: Callable[..., Path],
    make_evaluation: Callable[..., Path],
    report: Path,
    raw_rows: pd.DataFrame,
) -> None:
    model = make_model(task=task)
    done = register(model, make_evaluation(model), report, name="houses", run_id="r1")
    raw_rows.loc[0, "colour"] = "mauve"
    raw_rows.loc[1, ["size", "garden", "built"]] = None
    raw_rows["built"] = raw_rows["built"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    expected = predict_frame(load_model(model), raw_rows)
    shutil.rmtree(model)
    scores = loaded_alone(done, raw_rows, folder=tmp_path, store=store)
    assert list(scores) == list(expected.columns)
    for name in expected.columns.drop("prediction") if task == "binary" else ["prediction"]:
        np.testing.assert_allclose(scores[name], expected[name], atol=1e-6, rtol=0)
    assert task == "regression" or scores["prediction"] == expected["prediction"].tolist()


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_boosted_trees_are_evaluated_registered_and_served_like_a_network(
    task: str, store: str, tmp_path: Path, fitted: Callable[..., Path]
) -> None:
    folder = fitted(task, "gbdt")
    judged = evaluate(
        folder / "model",
        train=folder / "train",
        test=folder / "test",
        evaluation=tmp_path / "evaluation",
        report=tmp_path / "report.html",
        config=EvaluationConfig(confidence_resamples=100),
    )
    assert "gbdt" in (tmp_path / "report.html").read_text(encoding="utf-8")
    done = register(folder / "model", tmp_path / "evaluation", tmp_path / "report.html", name="trees", run_id=task)
    run = connect(store).get_run(done.mlflow_run_id)
    assert run.data.params["training.architecture"] == "gbdt"
    assert run.data.metrics[headline(task).name] == judged.metrics[headline(task).name]
    source = Path(connect(store).get_model_version("trees", done.version).source.removeprefix("file://"))
    pins = (source / "requirements.txt").read_text(encoding="utf-8")
    assert f"xgboost-cpu=={metadata.version('xgboost-cpu')}" in pins
    assert "torch" not in pins
    rows = read_split(folder / "test")[0].to_pandas()
    rows["measured"] = rows["measured"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
    expected = predict_frame(load_model(folder / "model"), rows)
    scores = loaded_alone(done, rows, folder=tmp_path, store=store)
    last = expected.columns[-1]
    np.testing.assert_allclose(scores[last], expected[last], rtol=1e-6)


def test_the_logged_model_holds_no_pickle_and_pins_what_it_needs(store: str, subject: tuple[Path, Path, Path]) -> None:
    done = register(*subject, name="houses", run_id="r1")
    folder = Path(connect(store).get_model_version("houses", done.version).source.removeprefix("file://"))
    files = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".pyc"))]
    assert not [name for name in files if name.startswith("code/ropewalk/launch")]
    pins = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert [pin.split("==")[0] for pin in pins] == [
        "mlflow",
        "pandas",
        "pyarrow",
        "numpy",
        "pydantic",
        "torch",
        "safetensors",
    ]
    assert not [pin for pin in pins if "+" in pin]
    info = mlflow.models.Model.load(folder)
    assert [column.name for column in info.signature.inputs] == ["size", "rooms", "colour", "garden", "built"]
    assert [column.name for column in info.signature.outputs] == ["prediction", "probability_no", "probability_yes"]
    assert (folder / "input_example.json").exists()
