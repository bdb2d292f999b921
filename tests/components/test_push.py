"""The adapter of the push step hands on what the library function says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from ropewalk.artifacts import MODEL, SPLIT, write_artifact
from ropewalk.components import push_data, version_results
from ropewalk.errors import ConfigError


def shipped(component: Any = push_data, name: str = "push_data") -> Callable[..., Any]:
    """Return the function as KFP ships it: its source alone."""
    names: dict[str, Any] = {}
    exec(component.component_spec.implementation.container.command[-1], names)
    return names[name]


def test_the_shipped_source_pushes_an_artifact_under_its_own_path(hub: Path, tmp_path: Path) -> None:
    with write_artifact(tmp_path / "split", SPLIT) as draft:
        (draft.folder / "part.csv").write_text("a\n1\n")
        draft.facts["split"] = "train"
    artifact = dsl.Dataset(uri=str(tmp_path / "split"))
    first = shipped()(artifact=artifact, repository=str(hub), name="houses")
    commit, digest, tag = first
    assert len(commit) == 40
    assert digest.startswith("md5:")
    assert tag == "houses/train@v1.0.0"
    assert shipped()(artifact=artifact, repository=str(hub), name="houses") == first


def test_splits_and_model_become_four_versions_and_stay_so(hub: Path, tmp_path: Path) -> None:
    artifacts = {}
    for part in ("train", "validation", "test", "model"):
        with write_artifact(tmp_path / part, MODEL if part == "model" else SPLIT) as draft:
            (draft.folder / "part.csv").write_text(f"{part}\n1\n")
            draft.facts |= {} if part == "model" else {"split": part}
        artifacts[part] = dsl.Artifact(uri=str(tmp_path / part))
    run = shipped(version_results, "version_results")
    (tags,) = run(**artifacts, repository=str(hub), name="Houses")
    assert tags == [f"houses/{part}@v1.0.0" for part in artifacts]
    assert run(**artifacts, repository=str(hub), name="Houses") == (tags,)


def test_an_error_reaches_the_caller_as_it_is(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(ConfigError, match="cannot be tracked"):
        shipped()(artifact=dsl.Artifact(uri=str(tmp_path / "file.txt")), repository=str(hub), path="../x")
