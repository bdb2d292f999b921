"""The adapter of the data step hands on what the library function says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from ropewalk.artifacts import RAW_DATA, read_artifact
from ropewalk.components import pull_data, resolve_data
from ropewalk.errors import ConfigError, SourceError


def shipped(component: Any, name: str) -> Callable[..., Any]:
    """Return the function as KFP ships it: its source alone."""
    names: dict[str, Any] = {}
    exec(component.component_spec.implementation.container.command[-1], names)
    return names[name]


def test_the_shipped_source_pulls_a_sample_and_records_where_it_came_from(tmp_path: Path) -> None:
    data, reference = dsl.Dataset(uri=str(tmp_path / "data")), dsl.Dataset(uri=str(tmp_path / "reference"))
    run = shipped(pull_data, "pull_data")
    digest, repository, commit, path, content_hash, size, files = run(
        data=data, reference=reference, source="sample:wine"
    )
    assert read_artifact(tmp_path / "data", RAW_DATA).digest == digest
    assert (repository, commit, path) == ("", "", "")
    assert content_hash.startswith("sha256:")
    assert (size, files) == ((tmp_path / "data" / "data" / "wine.csv").stat().st_size, 1)
    assert data.metadata["source"] == "sample:wine"
    assert data.metadata["target"] == "cultivar"
    assert data.metadata["digest"] == digest
    assert read_artifact(tmp_path / "reference", RAW_DATA).files == {}


def test_what_is_resolved_can_be_pulled(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "folder" / name).write_text("x\n1\n")
    revision, content_hash, pattern, cache, reference_revision = shipped(resolve_data, "resolve_data")(
        source=str(tmp_path / "folder"), config={"pattern": "a*"}
    )
    assert (revision, cache, reference_revision) == ("", "", "")
    outputs = {name: dsl.Dataset(uri=str(tmp_path / name)) for name in ("data", "reference")}
    pulled = shipped(pull_data, "pull_data")(
        **outputs, source=str(tmp_path / "folder"), pattern=pattern, expected_hash=content_hash
    )
    assert pulled[-1] == 1


def test_an_error_reaches_the_caller_as_it_is(tmp_path: Path) -> None:
    outputs = {name: dsl.Dataset(uri=str(tmp_path / name)) for name in ("data", "reference")}
    with pytest.raises(SourceError, match="There is no sample"):
        shipped(pull_data, "pull_data")(**outputs, source="sample:none")
    assert not (tmp_path / "data").exists()
    with pytest.raises(ConfigError, match=r"data\.chache: there is no such setting\. Did you mean 'cache'"):
        shipped(resolve_data, "resolve_data")(config={"chache": "/x"})
