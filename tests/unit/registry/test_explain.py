import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.errors import TrackingError
from ropewalk.registry.explain import explain_model, models_of_data, tree
from ropewalk.registry.explain_page import lineage_page, lineage_section
from ropewalk.registry.register import register
from ropewalk.tracking import RUN_ID_TAG, connect

YAML = "components: {}\n  container:\n      image: ghcr.io/ropewalk/ropewalk-train:0.1.0\n"


@pytest.fixture
def houses(
    store: str,
    make_model: Callable[..., Path],
    make_evaluation: Callable[..., Path],
    report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """URI of a store with one version of `houses`, made by a run on this machine that had trials."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "pipeline.yaml").write_text(YAML, encoding="utf-8")
    parameters = {"data": "https://me:s3cret@example.org/houses.git", "config": {"api_token": "s3cret", "epochs": 3}}
    (tmp_path / "run" / "run.json").write_text(json.dumps({"pipeline": "training", "parameters": parameters}))
    monkeypatch.setenv("ROPEWALK_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("ROPEWALK_RUN_ID", "training-1")
    model = make_model()
    done = register(model, make_evaluation(model), report, name="houses", run_id="r1", run_name="first")
    client = connect(store)
    experiment = client.get_run(done.mlflow_run_id).info.experiment_id
    client.create_run(experiment, tags={"mlflow.parentRunId": done.mlflow_run_id}, run_name="trial-1")
    client.set_tag(done.mlflow_run_id, "ropewalk.tuning.best_trial", "trial-1")
    return store


def test_a_model_is_explained_back_to_its_pipeline_run_decision_trials_and_data(houses: str) -> None:
    told = explain_model("houses@champion")
    assert (told["model"]["name"], told["model"]["version"], told["model"]["aliases"]) == (
        "houses",
        "1",
        ["challenger", "champion"],
    )
    assert told["decision"] == {"verdict": "promote", "reason": "It beats the baselines."}
    assert told["evaluation"]["metrics"]["roc_auc"] == 0.91
    run = connect(houses).get_model_version("houses", "1").run_id
    assert (told["training_run"]["run_id"], told["training_run"]["local_run"]) == ("r1", "training-1")
    assert told["training_run"]["mlflow_run_id"] == run
    assert (told["trials"]["count"], told["trials"]["best_trial"]) == (1, "trial-1")
    assert told["trials"]["runs"][0]["name"] == "trial-1"
    assert told["parameters"]["training.best_epoch"] == "2"
    assert told["pipeline"]["sha256"] == hashlib.sha256(YAML.encode()).hexdigest()
    assert told["pipeline"]["images"] == ["ghcr.io/ropewalk/ropewalk-train:0.1.0"]
    assert told["data"]["commit"] == "c" * 40
    assert (told["data"]["path"], told["data"]["hash"]) == ("data/houses.csv", "d" * 32)
    assert set(told["artifacts"]) == {"raw-data.digest"}


def test_secrets_among_the_parameters_are_not_recorded(houses: str) -> None:
    told = explain_model("houses")
    assert told["pipeline"]["parameters"] == {
        "data": "https://***@example.org/houses.git",
        "config": {"api_token": "(hidden)", "epochs": 3},
    }
    client = connect(houses)
    version = client.get_model_version("houses", "1")
    assert "s3cret" not in f"{version.tags} {version.description} {client.get_run(version.run_id).data.tags}"


def test_a_tree_tells_the_same_in_words(houses: str) -> None:
    lines = tree(explain_model("houses")).splitlines()
    assert lines[0] == "houses version 1"
    assert "├─ decision" in lines
    assert "│  ├─ verdict: promote" in lines
    assert "│     ├─ roc_auc: 0.91" in lines
    assert "└─ data" in lines
    assert f"   ├─ commit: {'c' * 40}" in lines


def test_a_page_shows_the_same_on_cards_shortened_with_the_whole_behind_them(houses: str) -> None:
    told = explain_model("houses@champion")
    cards = {card.title: {fact.label: fact for fact in card.facts} for card in lineage_section(told).blocks[0].plots}
    assert list(cards) == ["Data", "Model", "Run"]
    assert (cards["Data"]["Commit"].value, cards["Data"]["Commit"].title) == ("c" * 12, "c" * 40)
    assert cards["Model"]["Aliases"].value == "challenger, champion"
    assert (cards["Run"]["Run"].value, cards["Run"]["Trials"].value) == ("r1", "1")
    assert cards["Run"]["Its YAML"].title == hashlib.sha256(YAML.encode()).hexdigest()
    html = lineage_page(told)
    for shown in ("houses version 1", "It beats the baselines.", "training.best_epoch", "trial-1", "0.91", "(hidden)"):
        assert shown in html
    assert "s3cret" not in html


def test_a_page_of_a_version_that_somebody_else_registered_says_that_nothing_judged_it(store: str) -> None:
    client = connect(store)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", source="file:///nowhere")
    assert "Ropewalk did not evaluate this version." in lineage_page(explain_model("theirs/1"))


def test_a_run_in_a_cluster_names_who_keeps_its_pipeline(
    store: str, make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path, monkeypatch
) -> None:
    monkeypatch.delenv("ROPEWALK_RUN_DIR", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    model = make_model()
    register(model, make_evaluation(model), report, name="houses", run_id="r1")
    assert explain_model("houses")["pipeline"] == {"kept_by": "Kubeflow Pipelines, under the id of the run"}


@pytest.mark.parametrize("wanted", ["d" * 32, "d" * 8, "c" * 40, "c" * 7])
def test_the_models_of_a_data_version_are_found_by_hash_and_commit(wanted: str, houses: str) -> None:
    told = models_of_data(wanted)
    assert [(made["name"], made["version"], made["run_id"]) for made in told["models"]] == [("houses", "1", "r1")]
    assert tree(told).splitlines()[1:3] == ["└─ models", "   └─ houses version 1"]


def test_the_models_of_a_data_version_are_found_by_its_digest_and_by_the_hex_of_a_dvc_hash(houses: str) -> None:
    client = connect(houses)
    client.set_model_version_tag("houses", "1", "data.hash", f"md5:{'e' * 32}.dir")
    digest = client.get_model_version("houses", "1").tags["lineage.raw-data.digest"]
    assert models_of_data(digest)["models"][0]["matches"] == ["lineage.raw-data.digest"]
    assert models_of_data("e" * 32)["models"][0]["matches"] == ["data.hash"]


@pytest.mark.parametrize("wanted", ["f" * 32, "x' OR 1=1", ""])
def test_data_of_which_nothing_was_made_are_told(wanted: str, houses: str) -> None:
    with pytest.raises(TrackingError, match=r"No registered model was made of data|is no hash"):
        models_of_data(wanted)


def test_a_version_that_somebody_else_registered_is_explained_as_far_as_it_is_known(store: str) -> None:
    client = connect(store)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", source="file:///nowhere")
    told = explain_model("theirs/1")
    assert told.keys() == {"model"}
    assert RUN_ID_TAG not in str(told)
