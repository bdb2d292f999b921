"""What is compiled is reviewed: the same bytes everywhere, small, and equal to the golden files."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ropewalk.errors import ConfigError
from ropewalk.launch import compile as compiling
from ropewalk.launch.catalog import pipelines
from ropewalk.launch.specification import read_specification

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "pipelines" / "golden"
MAX_HEADLINE_PARAMETERS = 12


@pytest.fixture(scope="module")
def compiled():
    return compiling.compile_everything()


def _digests(out: Path, cwd: Path, **environment: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "ROPEWALK_IMAGE_REGISTRY"}
    subprocess.run(
        [sys.executable, str(ROOT / "compile.py"), "--out", str(out)],
        cwd=cwd,
        env={**kept, **environment},
        check=True,
        capture_output=True,
    )
    return {
        file.relative_to(out).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in out.rglob("*.yaml")
    }


def test_golden_files_and_readmes_are_up_to_date(compiled):
    diff = compiling.compare_files(compiling.golden_files(compiled, GOLDEN) | compiling.readmes(), GOLDEN)
    assert not diff, f"run `python compile.py --update` if this is meant:\n{diff}"


def test_the_same_source_gives_the_same_bytes_everywhere(tmp_path):
    plain = _digests(tmp_path / "a", ROOT)
    other = _digests(
        tmp_path / "b", tmp_path, PYTHONHASHSEED="7", KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT="1", LC_ALL="C"
    )
    assert plain == other
    assert "training.yaml" in plain
    assert "components/train_model.yaml" in plain


@pytest.mark.parametrize("name", pipelines())
def test_every_headline_parameter_has_a_default_and_a_description(name, compiled):
    specification = next(one.specification for one in compiled if one.path == Path(f"{name}.yaml"))
    assert len(specification.parameters) <= MAX_HEADLINE_PARAMETERS
    assert specification.description
    assert [field.name for field in specification.parameters if not field.description or field.default is None] == []


def test_every_image_is_pinned(compiled):
    images = {image for one in compiled for image in one.specification.images}
    assert images
    assert all(":" in image and not image.endswith(":latest") for image in images)


def test_a_difference_is_shown_as_a_diff_and_repaired_by_an_update(compiled, tmp_path):
    wanted = compiling.golden_files(compiled, tmp_path)
    compiling.update_files(wanted, tmp_path)
    assert compiling.compare_files(wanted, tmp_path) == ""
    file = tmp_path / "training.yaml"
    file.write_text(file.read_text().replace("name: train-model\n", "name: old-model\n"))
    (tmp_path / "gone.yaml").write_text("name: gone\n")
    diff = compiling.compare_files(wanted, tmp_path)
    assert "-            name: old-model" in diff
    assert "+            name: train-model" in diff
    assert "-name: gone" in diff
    (tmp_path / "gone.yaml").write_text((tmp_path / "tuning.yaml").read_text())
    explained = {one.name: one.changes for one in compiling.explain_files(wanted, tmp_path)}
    assert [(change.subject, change.weight) for change in explained["gone.yaml"]] == [("file gone.yaml", "breaking")]
    assert [(change.what, change.weight) for change in explained["training.yaml"]] == [
        ("shown name changed", "cosmetic")
    ]
    assert explained.keys() == {"gone.yaml", "training.yaml"}
    assert sorted(path.name for path in compiling.update_files(wanted, tmp_path)) == ["gone.yaml", "training.yaml"]
    assert compiling.compare_files(wanted, tmp_path) == ""


def test_another_release_of_the_sdk_is_no_difference(compiled, tmp_path):
    newer = [replace(one, text=one.text.replace("sdkVersion: kfp-", "sdkVersion: kfp-9")) for one in compiled]
    assert newer != compiled
    assert compiling.golden_files(newer, tmp_path) == compiling.golden_files(compiled, tmp_path)


def test_golden_files_are_not_compared_under_another_registry(compiled, tmp_path, monkeypatch):
    monkeypatch.setenv("ROPEWALK_IMAGE_REGISTRY", "registry.example.org")
    with pytest.raises(ConfigError, match="unset ROPEWALK_IMAGE_REGISTRY"):
        compiling.golden_files(compiled, tmp_path)


def test_yaml_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(compiling, "MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"at most 1,000 bytes: training\.yaml"):
        compiling.compile_everything()


def test_golden_files_are_valid_pipelines():
    files = sorted(GOLDEN.rglob("*.yaml"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert read_specification(text, source=file.name).tasks
        assert next(yaml.safe_load_all(text))["schemaVersion"] == "2.1.0"
