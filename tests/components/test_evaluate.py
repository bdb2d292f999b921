"""The adapter runs as KFP ships it: its source alone, without this module's globals."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from kfp import dsl

from ropewalk.artifacts import CHAMPION, EVALUATION, read_artifact, write_artifact
from ropewalk.components import evaluate_model
from ropewalk.errors import ConfigError


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str]]:
    monkeypatch.setenv("_KFP_RUNTIME", "true")
    names: dict[str, object] = {}
    exec(evaluate_model.component_spec.implementation.container.command[-1], names)
    return names["evaluate_model"]


def artifacts(folder: Path, out: Path) -> dict[str, dsl.Artifact]:
    return {
        "model": dsl.Model(uri=str(folder / "model")),
        "train": dsl.Dataset(uri=str(folder / "train")),
        "test": dsl.Dataset(uri=str(folder / "test")),
        "evaluation": dsl.Dataset(uri=str(out / "evaluation")),
        "metrics": dsl.Metrics(uri=str(out / "metrics")),
        "classification": dsl.ClassificationMetrics(uri=str(out / "classification")),
        "report": dsl.HTML(uri=str(out / "report")),
    }


def test_shipped_source_evaluates_a_model(
    shipped: Callable[..., tuple[str]], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    given = artifacts(fitted("binary"), tmp_path)
    outputs = shipped(**given, config={"confidence_resamples": 200.0, "minimum": {"roc_auc": 0.6}})
    assert outputs == ("promote",)
    assert given["evaluation"].metadata["digest"] == read_artifact(tmp_path / "evaluation", EVALUATION).digest
    assert all(isinstance(value, float) and math.isfinite(value) for value in given["metrics"].metadata.values())
    assert given["metrics"].metadata["roc_auc"] > 0.6
    assert len(given["classification"].metadata["confidenceMetrics"]) <= 200
    assert (tmp_path / "report").read_text().startswith("<!doctype html>")


def test_shipped_source_compares_with_the_champion(
    shipped: Callable[..., tuple[str]], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    with write_artifact(tmp_path / "champion", CHAMPION) as draft:
        shutil.copytree(fitted("binary") / "model", draft.folder / "model")
        draft.facts.update(name="model", version="7", run_id="", digest="", problem="")
    given = artifacts(fitted("binary"), tmp_path) | {"champion": dsl.Model(uri=str(tmp_path / "champion"))}
    settings = {"confidence_resamples": 200, "baseline_rows": 0, "importance_rows": 0}
    assert shipped(**given, config=settings) == ("promote",)
    assert given["metrics"].metadata["champion_roc_auc"] == given["metrics"].metadata["roc_auc"]
    assert shipped(**given, config={**settings, "against_champion": "superior"}) == ("hold",)


def test_regression_has_empty_classification_metrics(
    shipped: Callable[..., tuple[str]], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    given = artifacts(fitted("regression"), tmp_path)
    assert shipped(**given, config={"confidence_resamples": 200}) == ("promote",)
    assert given["classification"].metadata == {}


def test_a_wrong_setting_is_refused_by_its_full_name(
    shipped: Callable[..., tuple[str]], fitted: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.minimun: there is no such setting. Did you mean 'minimum'"):
        shipped(**artifacts(fitted("binary"), tmp_path), config={"minimun": {}})
