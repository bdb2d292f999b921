"""What a step may reach, told without starting anything."""

import os

import pytest

from ropewalk.errors import ConfigError
from ropewalk.launch.containers.access import DEFAULT_NETWORK, HOST_NETWORK, NO_NETWORK, Asked, find_access, texts_of

SERVER = "https://mlflow.example.com"


def reach(step, parameters, *, set_in_yaml=None, secrets=(), **asked):
    """Return the access of `step`, all of whose parameters are the pipeline's."""
    wanted = Asked(texts=frozenset(texts_of(parameters)), mounts=asked.pop("mounts", {}), **asked)
    return find_access(step, parameters, asked=wanted, set_in_yaml=set_in_yaml or {}, secrets=secrets)


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No variable of whoever runs the tests, and a state folder of its own."""
    ours = ("MLFLOW_", "ROPEWALK_", "AWS_", "PYTHONPATH", "HTTPS_PROXY")
    for name in [name for name in os.environ if name.startswith(ours)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ROPEWALK_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("step", "parameters", "network"),
    [
        ("train-model", {"epochs": 3}, NO_NETWORK),
        ("pull-data", {"source": "sample:wine"}, NO_NETWORK),
        ("pull-data", {"source": "https://git.example.com/data"}, DEFAULT_NETWORK),
        ("pull-data", {"source": "git@git.example.com:data"}, DEFAULT_NETWORK),
        ("check-config", {"mlflow_tracking_uri": SERVER}, NO_NETWORK),
        ("register-model", {"mlflow_tracking_uri": SERVER}, DEFAULT_NETWORK),
        ("register-model", {"mlflow_tracking_uri": "http://localhost:5000"}, HOST_NETWORK),
        ("register-model", {"mlflow_tracking_uri": "sqlite:////tmp/m/mlflow.db"}, NO_NETWORK),
        ("register-model-2", {"mlflow_tracking_uri": ""}, NO_NETWORK),
        ("somebodys-step", {"settings": {"urls": ["s3://bucket/key"]}}, DEFAULT_NETWORK),
        ("somebodys-step", {"text": "see https://example.com"}, NO_NETWORK),
    ],
)
def test_a_network_is_for_steps_that_are_handed_an_address(step, parameters, network):
    assert reach(step, parameters).network == network


def test_one_setting_turns_every_network_on_or_off():
    assert reach("train-model", {}, network="on").network == DEFAULT_NETWORK
    assert reach("pull-data", {"source": "https://git.example.com/data"}, network="off").network == NO_NETWORK


def test_variables_reach_only_the_steps_that_they_are_meant_for(monkeypatch):
    given = {"MLFLOW_TRACKING_URI": SERVER, "MLFLOW_TRACKING_TOKEN": "t", "ROPEWALK_GIT_TOKEN": "g", "HTTPS_PROXY": "p"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    registering = reach("register-model", {})
    training = reach("train-model", {})
    pulling = reach("pull-data", {"source": "sample:wine"})

    assert registering.network == DEFAULT_NETWORK
    assert given.keys() & registering.variables.keys() == {
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_TOKEN",
        "HTTPS_PROXY",
    }
    assert given.keys() & training.variables.keys() == set()
    assert given.keys() & pulling.variables.keys() == {"ROPEWALK_GIT_TOKEN"}


def test_what_the_yaml_sets_wins_and_its_secrets_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    monkeypatch.setenv("TOKEN", "secret")

    access = reach(
        "register-model", {}, set_in_yaml={"MLFLOW_TRACKING_URI": "http://other:5000"}, secrets={"TOKEN": False}
    )

    assert "MLFLOW_TRACKING_URI" not in access.variables
    assert access.variables["TOKEN"] == "secret"


def test_existing_files_that_the_pipeline_names_are_read_and_no_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table, private = tmp_path / "table.csv", tmp_path / "private.csv"
    for file in (table, private):
        file.write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to(table)

    access = find_access(
        "somebodys-step",
        {"data": "link.csv", "nested": {"file": str(private)}},
        asked=Asked(texts=frozenset({"link.csv"}), mounts={}),
        set_in_yaml={},
    )

    assert access.folders == {tmp_path / "link.csv": False, table: False}


def test_a_table_brings_the_schema_beside_it(tmp_path):
    for name in ("houses.csv", "houses.schema.yaml", "other.csv"):
        (tmp_path / name).write_text("a\n1\n")

    access = reach("pull-data", {"source": str(tmp_path / "houses.csv")})

    assert access.folders == {tmp_path / "houses.csv": False, tmp_path / "houses.schema.yaml": False}


def test_a_repository_brings_its_dvc_remote_and_is_written_only_by_the_step_that_pushes(hub, tmp_path):
    store = tmp_path / "store"

    pulling = reach("pull-data", {"source": str(hub), "cache": str(tmp_path / "cache")})
    pushing = reach("version-results", {"repository": str(hub)})

    assert pulling.folders == {hub: False, store: False, tmp_path / "cache": True}
    assert pushing.folders == {hub: True, store: True}


@pytest.mark.parametrize("repository", ["git@git.example.com:data", "https://git.example.com/data", "not/there"])
def test_no_folder_is_made_for_a_repository(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    access = reach("version-results", {"repository": repository})

    assert not any(access.folders.values())
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_store_is_written_by_steps_that_track_and_the_runs_in_it_stay(tmp_path):
    assert reach("register-model", {}).folders == {tmp_path / "home": True, tmp_path / "home/runs": False}
    assert reach("train-model", {}).folders == {}


def test_checkpoints_are_written_where_the_settings_or_the_environment_say(tmp_path, monkeypatch):
    monkeypatch.setenv("ROPEWALK_CHECKPOINTS", str(tmp_path / "kept"))

    access = reach("train-model", {"config": {"checkpoint": str(tmp_path / "own")}})

    assert access.folders == {tmp_path / "kept": True, tmp_path / "own": True}


def test_modules_are_found_only_in_mounted_folders(tmp_path, monkeypatch):
    for name in ("nets", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'other'}:{tmp_path / 'nets'}")

    access = reach("train-model", {}, mounts={tmp_path / "nets": False})

    assert access.variables["PYTHONPATH"] == str(tmp_path / "nets")


def test_a_folder_that_would_hide_the_containers_own_is_refused():
    with pytest.raises(ConfigError, match="it would hide /usr of the container"):
        reach("somebodys-step", {"data": "/usr"})
