"""The adapter of the data step hands on what the library function says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from ropewalk.artifacts import RAW_DATA, read_artifact
from ropewalk.components import pull_data
from ropewalk.errors import SourceError


def shipped(component: Any, name: str) -> Callable[..., Any]:
    """Return the function as KFP ships it: its source alone."""
    names: dict[str, Any] = {}
    exec(component.component_spec.implementation.container.command[-1], names)
    return names[name]


def test_the_shipped_source_pulls_a_sample_and_records_where_it_came_from(tmp_path: Path) -> None:
    data = dsl.Dataset(uri=str(tmp_path / "data"))
    digest, commit = shipped(pull_data, "pull_data")(data=data, source="sample:wine")
    assert read_artifact(tmp_path / "data", RAW_DATA).digest == digest
    assert commit == ""
    assert data.metadata["source"] == "sample:wine"
    assert data.metadata["target"] == "cultivar"
    assert data.metadata["digest"] == digest


def test_an_error_reaches_the_caller_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no sample"):
        shipped(pull_data, "pull_data")(data=dsl.Dataset(uri=str(tmp_path / "data")), source="sample:none")
    assert not (tmp_path / "data").exists()
