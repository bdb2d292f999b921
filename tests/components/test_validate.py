"""The adapter of the validation step: page, metrics, target and task."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kfp import dsl

from ropewalk.artifacts import RAW_DATA, write_artifact
from ropewalk.components import validate_data
from ropewalk.errors import ConfigError, DataError


@pytest.fixture
def run(make_raw: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs the shipped source on a table of one feature and the target `y`."""
    names: dict[str, Any] = {}
    exec(validate_data.component_spec.implementation.container.command[-1], names)
    table = pd.DataFrame({"x": [row * 7 % 61 for row in range(60)], "y": ["a", "b"] * 30, "void": [None] * 60})

    def call(**settings: Any) -> Any:
        return names["validate_data"](
            data=dsl.Dataset(uri=str(make_raw(table))), report=dsl.HTML(uri=str(tmp_path / "report")), **settings
        )

    return call


def test_the_shipped_source_returns_target_and_task_and_counts(run: Callable[..., Any], tmp_path: Path) -> None:
    metrics = dsl.Metrics(uri=str(tmp_path / "metrics"))
    assert run(metrics=metrics, target="y") == ("y", "binary")
    assert metrics.metadata == {"rows": 60, "columns": 3, "warnings": 1}
    assert (tmp_path / "report").read_text().startswith("<!doctype html>")


def test_settings_come_as_json_with_whole_numbers_as_floats(run: Callable[..., Any], tmp_path: Path) -> None:
    metrics = dsl.Metrics(uri=str(tmp_path / "metrics"))
    with pytest.raises(DataError, match=r"only 60 rows with a target, fewer than 61"):
        run(metrics=metrics, target="y", config={"min_rows": 61.0, "ranges": {"x": [0.0, 60.0]}})
    assert "Refused" in (tmp_path / "report").read_text()


def test_a_reference_is_compared_with_and_one_without_files_is_none(
    run: Callable[..., Any], tmp_path: Path, make_raw: Callable[..., Path]
) -> None:
    with write_artifact(tmp_path / "nothing", RAW_DATA):
        pass
    nothing = dsl.Dataset(uri=str(tmp_path / "nothing"))
    assert run(metrics=dsl.Metrics(uri="m"), target="y", reference=nothing) == ("y", "binary")
    before = make_raw(pd.DataFrame({"x": [1000 + row * 7 % 61 for row in range(600)], "y": ["a", "b"] * 300}), "before")
    with pytest.raises(DataError, match="the column 'x'"):
        run(metrics=dsl.Metrics(uri="m"), target="y", reference=dsl.Dataset(uri=str(before)))


def test_a_wrong_setting_is_named_with_its_section(run: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"validation\.min_row: there is no such setting\. Did you mean 'min_rows'"):
        run(metrics=dsl.Metrics(uri=str(tmp_path / "metrics")), target="y", config={"min_row": 5})
