"""The champion is scored on the new model's test rows, or it is told why it cannot be."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.artifacts import CHAMPION, MODEL, read_artifact, write_artifact
from ropewalk.errors import ArtifactError
from ropewalk.evaluation.champion import Champion, score_champion
from ropewalk.preprocess.splits import read_split
from ropewalk.training.model import TrainedModel, load_model

Champions = Callable[..., Path]


@pytest.fixture
def challenger(fitted: Callable[..., Path]) -> TrainedModel:
    return load_model(fitted("binary") / "model")


@pytest.fixture
def test_rows(fitted: Callable[..., Path]) -> pa.Table:
    return read_split(fitted("binary") / "test")[0]


def scored(artifact: Path | None, challenger: TrainedModel, rows: pa.Table) -> Champion:
    found = score_champion(artifact, challenger, rows)
    assert found is not None
    return found


def rewritten(model: Path, folder: Path, change: Callable[[Path], None]) -> Path:
    """Return a whole model artifact like `model`, its files changed as `change` does."""
    manifest = read_artifact(model, MODEL)
    with write_artifact(folder, MODEL) as draft:
        shutil.copytree(model, draft.folder, dirs_exist_ok=True)
        (draft.folder / "manifest.json").unlink()
        change(draft.folder)
        draft.facts.update(manifest.facts)
    return folder


def test_its_predictions_are_its_models(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table
) -> None:
    old = fitted("binary", "linear") / "model"
    found = scored(champion_of(old, version="12"), challenger, test_rows)
    assert (found.version, found.run_id, found.problem) == ("12", "r1", "")
    assert found.digest == read_artifact(old, MODEL).digest
    assert np.array_equal(found.predicted, load_model(old).predict(test_rows))


def test_there_is_none_before_the_first_promotion(
    champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table
) -> None:
    assert score_champion(None, challenger, test_rows) is None
    assert score_champion(champion_of(None, version=""), challenger, test_rows) is None


def test_what_kept_it_from_being_fetched_is_passed_on(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table
) -> None:
    artifact = champion_of(fitted("binary") / "model", problem="Its bytes have changed.")
    found = scored(artifact, challenger, test_rows)
    assert (found.problem, found.predicted) == ("Its bytes have changed.", None)


def test_one_of_an_older_format_has_a_problem(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table, tmp_path: Path
) -> None:
    def age(folder: Path) -> None:
        description = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**description, "format_version": 1}))

    old = rewritten(fitted("binary") / "model", tmp_path / "old", age)
    found = scored(champion_of(old), challenger, test_rows)
    assert "holds a model of format 1" in found.problem
    assert found.predicted is None


def test_one_that_reads_a_column_that_is_gone_has_a_problem(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table
) -> None:
    found = scored(champion_of(fitted("binary") / "model"), challenger, test_rows.drop_columns(["colour"]))
    assert found.problem.startswith("Columns are missing: colour.")


def test_one_that_reads_a_column_of_another_type_has_a_problem(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table
) -> None:
    texts = pa.array(["long"] * test_rows.num_rows)
    changed = test_rows.set_column(test_rows.column_names.index("length"), "length", texts)
    found = scored(champion_of(fitted("binary") / "model"), challenger, changed)
    assert "Column 'length' was double (numeric) in training" in found.problem


def test_a_new_column_is_no_problem(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table
) -> None:
    wider = test_rows.append_column("new", pa.array(range(test_rows.num_rows)))
    assert scored(champion_of(fitted("binary") / "model"), challenger, wider).problem == ""


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ("multiclass", r"It predicts 'outcome' \(multiclass\), the new model 'outcome' \(binary\)"),
        ("regression", "regression"),
    ],
)
def test_one_for_another_task_has_a_problem(
    task: str,
    problem: str,
    fitted: Callable[..., Path],
    champion_of: Champions,
    challenger: TrainedModel,
    test_rows: pa.Table,
) -> None:

    assert re.search(problem, scored(champion_of(fitted(task) / "model"), challenger, test_rows).problem)


def reclassed(classes: list[str]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / "preprocessor.json").read_text())
        (folder / "preprocessor.json").write_text(json.dumps({**content, "classes": classes}))

    return change


def test_classes_in_another_order_are_put_into_the_new_models(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table, tmp_path: Path
) -> None:
    model = fitted("binary") / "model"
    turned = rewritten(model, tmp_path / "turned", reclassed(challenger.classes[::-1]))
    found = scored(champion_of(turned), challenger, test_rows)
    assert np.array_equal(found.predicted, load_model(model).predict(test_rows)[:, ::-1])


def test_other_classes_are_a_problem(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table, tmp_path: Path
) -> None:
    other = rewritten(fitted("binary") / "model", tmp_path / "other", reclassed(["no", "maybe"]))
    found = scored(champion_of(other), challenger, test_rows)
    assert found.problem == "Its classes are no, maybe; those of the new model no, yes."


def test_bytes_that_changed_after_fetching_are_refused(
    fitted: Callable[..., Path], champion_of: Champions, challenger: TrainedModel, test_rows: pa.Table
) -> None:
    artifact = champion_of(fitted("binary") / "model")
    weights = artifact / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactError, match="has changed since it was written"):
        score_champion(artifact, challenger, test_rows)


def test_an_artifact_of_another_kind_is_refused(
    fitted: Callable[..., Path], challenger: TrainedModel, test_rows: pa.Table
) -> None:
    with pytest.raises(ArtifactError, match=f"{CHAMPION!r} is needed here"):
        score_champion(fitted("binary") / "model", challenger, test_rows)
