from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ropewalk.errors import DataError
from ropewalk.registry.frames import predict_frame, to_table
from ropewalk.training.model import load_model


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_frame_gives_the_same_scores_as_the_table_it_came_from(
    task: str, make_model: Callable[..., Path], raw_rows: pd.DataFrame
) -> None:
    model = load_model(make_model(task=task))
    expected = model.predict(pa.Table.from_pandas(raw_rows, preserve_index=False))
    raw_rows.index = pd.Index(np.arange(len(raw_rows)) + 1000)
    found = predict_frame(model, raw_rows)
    assert found.index.equals(raw_rows.index)
    if task == "regression":
        assert np.array_equal(found["prediction"], expected)
    else:
        assert np.array_equal(found[[f"probability_{name}" for name in model.classes]], expected)
        assert list(found["prediction"]) == [model.classes[place] for place in expected.argmax(axis=1)]


SAME = {
    "rooms": [3, 3.0, "3", np.int32(3), Decimal(3)],
    "garden": [True, np.True_, "true", "True", 1, 1.0],
    "colour": ["red", np.str_("red")],
    "built": ["2024-01-02T03:00:00", pd.Timestamp("2024-01-02 03:00"), "2024-01-02T04:00:00+01:00"],
}


@pytest.mark.parametrize("name", SAME)
def test_every_way_to_write_a_value_is_read_alike(name: str, make_model: Callable[..., Path]) -> None:
    model = load_model(make_model())
    columns = [column for column in model.preprocessor.used if column.name == name]
    read = [
        to_table(pd.DataFrame({name: pd.Series([None, value], dtype=object)}), columns)[name].to_pylist()
        for value in SAME[name]
    ]
    assert all(values == read[0] for values in read)
    assert read[0][0] is None
    assert read[0][1] is not None


def test_missing_values_of_every_kind_and_unseen_categories_are_scored(make_model: Callable[..., Path]) -> None:
    model = load_model(make_model())
    rows = pd.DataFrame(
        {
            "size": [None, float("nan"), 1.0],
            "rooms": [None, 2.5, 10**9],
            "colour": ["mauve", None, pd.NA],
            "garden": [None, "maybe", False],
            "built": [None, pd.NaT, pd.Timestamp("2030-01-01")],
        }
    )
    scores = predict_frame(model, rows)
    assert scores[["probability_no", "probability_yes"]].sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_numbers_as_categories_match_the_text_they_were_trained_as(make_model: Callable[..., Path]) -> None:
    column = next(column for column in load_model(make_model()).preprocessor.used if column.name == "colour")
    frame = pd.DataFrame({"colour": [7.0, None, 7]})
    assert to_table(frame, [column])["colour"].to_pylist() == ["7", None, "7"]


def test_no_rows_give_no_predictions(make_model: Callable[..., Path], raw_rows: pd.DataFrame) -> None:
    assert predict_frame(load_model(make_model()), raw_rows[:0]).shape == (0, 3)


def test_a_column_that_is_absent_is_named(make_model: Callable[..., Path], raw_rows: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="lack 1 of the model's columns: colour"):
        predict_frame(load_model(make_model()), raw_rows.drop(columns="colour"))


def test_text_in_a_column_of_numbers_is_refused_by_name(
    make_model: Callable[..., Path], raw_rows: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match="'size' must hold double or None"):
        predict_frame(load_model(make_model()), raw_rows.assign(size="big"))
