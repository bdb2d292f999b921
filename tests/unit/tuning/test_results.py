"""The outcome: typed best parameters, and a table of every trial."""

import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from ropewalk.errors import RunError
from ropewalk.tuning.results import result_of, trials_table, write_result, write_tables

SPACE = [
    {"name": "rate", "type": "double", "min": 0, "max": 1},
    {"name": "layers", "type": "int", "min": 1, "max": 4},
    {"name": "size", "type": "discrete", "values": [0.5, 1]},
    {"name": "width", "type": "discrete", "values": [16, 32]},
    {"name": "kind", "type": "categorical", "values": ["1", "b, c"]},
]
VALUES = {"rate": [0.5, 1e-5], "layers": [1, 2], "size": [0.5, 1], "width": [16, 32], "kind": ["1", "b, c"]}


@pytest.fixture
def finished(experiment, snapshot_of):
    objective = {"metric": "loss", "type": "minimize", "additional": ["acc"]}
    return experiment(parameters=SPACE, objective=objective), snapshot_of([0.1, 0.9], [0.5, 0.4], **VALUES)


def test_the_best_parameters_have_their_own_types(finished):
    result = result_of(*finished)
    assert (result.best_trial, result.best_value) == ("t-1", 0.4)
    assert [(type(value), value) for value in result.best_parameters.values()] == [
        (float, 1e-5),
        (int, 2),
        (int, 1),
        (int, 32),
        (str, "b, c"),
    ]
    assert (result.trials, result.seconds) == ({"succeeded": 2}, 4.0)


def test_the_table_has_a_row_per_trial_with_typed_columns(finished):
    table = trials_table(*finished)
    assert table.schema.field("parameters.rate").type == pa.float64()
    assert table.schema.field("parameters.layers").type == pa.int64()
    assert table.schema.field("parameters.size").type == pa.float64()
    assert table.schema.field("parameters.width").type == pa.int64()
    assert table.schema.field("parameters.kind").type == pa.string()
    first, second = table.to_pylist()
    assert (first["metrics.loss"], first["metrics.loss.min"], first["metrics.loss.max"]) == (0.9, 0.1, 0.9)
    assert (first["best"], second["best"], first["metrics.acc"]) == (False, True, None)
    assert second["started"].timestamp() == 1.7e9 + 1


def test_csv_parquet_and_json_are_written(finished, tmp_path):
    write_tables(*finished, tmp_path / "new")
    write_result(result_of(*finished), tmp_path / "new")
    table = pa.parquet.read_table(tmp_path / "new" / "trials.parquet")
    assert table == trials_table(*finished)
    rows = pa.csv.read_csv(tmp_path / "new" / "trials.csv").to_pylist()
    assert [(row["trial"], row["parameters.kind"]) for row in rows] == [("t-0", "1"), ("t-1", "b, c")]
    assert json.loads((tmp_path / "new" / "result.json").read_text())["best_parameters"]["layers"] == 2
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["result.json", "trials.csv", "trials.parquet"]


def test_without_a_finite_value_there_is_no_result_and_the_first_failure_is_shown(experiment, snapshot_of):
    snapshot = snapshot_of([float("nan")], [1.0], states={1: "failed"})
    with pytest.raises(RunError, match=r"(?s)\(1 succeeded, 1 failed\).*t-1: exit code 1.*out of memory"):
        result_of(experiment(), snapshot)


def test_an_experiment_without_trials_has_a_table_without_rows(finished, snapshot_of):
    made, _ = finished
    empty = snapshot_of()
    assert trials_table(made, empty).num_rows == 0
    with pytest.raises(RunError, match="none was started"):
        result_of(made, empty)
