import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.artifacts import CHAMPION, MODEL, read_artifact
from ropewalk.errors import ConfigError, ServiceError
from ropewalk.registry.champion import Champion, fetch, fetch_champion
from ropewalk.registry.register import register
from ropewalk.tracking import connect
from ropewalk.training.model import load_model


@pytest.fixture
def champion(store: str, make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path) -> Path:
    """Folder of the model artifact that is registered as version 1 and champion of `houses`."""
    model = make_model()
    register(model, make_evaluation(model), report, name="houses", run_id="r1")
    return model


def stored(store: str) -> Path:
    """Folder of the champion's model artifact in the artifact store."""
    source = connect(store).get_model_version("houses", "1").source.removeprefix("file://")
    return Path(source, "artifacts", "model")


def fetched_problem(folder: Path) -> str:
    found = fetch_champion("houses", "", folder)
    assert found is not None
    assert (found.version, found.model) == ("1", None)
    assert not folder.exists()
    return found.problem


def test_the_champion_is_downloaded_and_loads(store: str, champion: Path, tmp_path: Path) -> None:
    found = fetch_champion("houses", "", tmp_path / "found")
    version = connect(store).get_model_version("houses", "1")
    digest = read_artifact(champion, MODEL).digest
    assert found == Champion(version="1", run_id=version.run_id, digest=digest, model=tmp_path / "found", problem="")
    assert load_model(tmp_path / "found").manifest.digest == digest
    assert [file.name for file in tmp_path.glob("ropewalk-*")] == []


def test_there_is_none_before_the_first_model_and_before_the_first_promotion(
    store: str, make_model: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path, tmp_path: Path
) -> None:
    assert fetch_champion("houses", "", tmp_path / "found") is None
    model = make_model()
    register(model, make_evaluation(model, verdict="hold"), report, name="houses")
    assert fetch_champion("houses", "", tmp_path / "found") is None


def test_a_store_that_nobody_has_made_has_no_champion_and_is_not_made(tmp_path: Path) -> None:
    assert fetch_champion("houses", f"sqlite:///{tmp_path}/new.db", tmp_path / "found") is None
    assert list(tmp_path.iterdir()) == []


def test_a_champion_with_changed_bytes_has_a_problem(store: str, champion: Path, tmp_path: Path) -> None:
    with (stored(store) / "weights.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\x7f")
    assert "'weights.safetensors' has changed" in fetched_problem(tmp_path / "found")


def test_a_champion_whose_files_are_gone_has_a_problem(store: str, champion: Path, tmp_path: Path) -> None:
    (stored(store).parent.parent / "MLmodel").unlink()
    assert "The artifact store no longer has" in fetched_problem(tmp_path / "found")


def test_a_champion_that_is_another_model_than_the_registry_says_has_a_problem(
    store: str, champion: Path, tmp_path: Path
) -> None:
    connect(store).set_model_version_tag("houses", "1", "ropewalk.model_digest", "e" * 64)
    assert "another model than the registry says" in fetched_problem(tmp_path / "found")


def test_a_champion_that_someone_else_registered_has_a_problem(store: str, champion: Path, tmp_path: Path) -> None:
    connect(store).delete_model_version_tag("houses", "1", "ropewalk.model_digest")
    assert "not registered by Ropewalk" in fetched_problem(tmp_path / "found")


def test_a_champion_made_by_an_older_release_has_a_problem(store: str, champion: Path, tmp_path: Path) -> None:
    manifest = stored(store) / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps(content | {"format_version": 0, "created_by": "ropewalk 0.0.1"}), encoding="utf-8")
    assert "use the release that wrote it (ropewalk 0.0.1)" in fetched_problem(tmp_path / "found")


def test_a_name_that_no_registry_takes_is_refused(store: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'a-b'"):
        fetch_champion("a/b", "", tmp_path / "found")


def test_a_server_that_is_down_is_a_service_error_and_no_missing_champion(store: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"curl http://127\.0\.0\.1:9/health"):
        fetch_champion("houses", "http://127.0.0.1:9", tmp_path / "found")


def test_the_artifact_holds_the_model_and_tells_its_version(store: str, champion: Path, tmp_path: Path) -> None:
    manifest = fetch(output=tmp_path / "artifact", name="houses")
    assert read_artifact(tmp_path / "artifact", CHAMPION) == manifest
    assert load_model(tmp_path / "artifact" / "model").task == "binary"
    assert {name: manifest.facts[name] for name in ("name", "version", "problem")} == {
        "name": "houses",
        "version": "1",
        "problem": "",
    }


def test_the_artifact_is_without_files_when_there_is_no_champion(store: str, tmp_path: Path) -> None:
    manifest = fetch(output=tmp_path / "artifact", name="houses")
    assert (manifest.files, manifest.facts["version"], manifest.facts["problem"]) == ({}, "", "")


def test_the_command_line_fetches(store: str, champion: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ropewalk.registry", "fetch-champion"]
    done = subprocess.run(
        [*command, f"--output={tmp_path / 'artifact'}", "--name=houses"], capture_output=True, text=True, check=True
    )
    assert "The champion of 'houses' is version 1." in done.stdout
    assert (done.stderr, (tmp_path / "artifact" / "model" / "model.json").is_file()) == ("", True)
