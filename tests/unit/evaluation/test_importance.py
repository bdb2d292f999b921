"""Columns that a model relies on are worth something; those that it ignores are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ropewalk.evaluation.importance import Importance, importances
from ropewalk.preprocess.splits import read_split
from ropewalk.training.model import load_model


def found_for(folder: Path, **settings: int) -> list[Importance]:
    model = load_model(folder / "model")
    test = read_split(folder / "test")[0]
    settings = {"most_rows": 1000, "seed": 0} | settings
    return importances(model, model.encode_target(test), model.predict(test), test, **settings)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_column_that_decides_comes_first_and_noise_is_worth_nothing(task: str, fitted: Callable[..., Path]) -> None:
    found = found_for(fitted(task))
    assert {each.column for each in found} == {"length", "width", "colour", "measured"}
    assert found[0].column == "length"
    assert found[0].low > 0
    noise = next(each for each in found if each.column == "width")
    assert noise.low < 0.25 * found[0].loss
    assert all(each.low <= each.loss <= each.high for each in found)


def test_no_more_rows_are_used_than_asked_and_the_same_seed_gives_the_same_answer(
    fitted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    folder = fitted("regression")
    model = load_model(folder / "model")
    predict = type(model).predict
    monkeypatch.setattr(type(model), "predict", lambda self, rows: (seen.append(rows.num_rows), predict(self, rows))[1])
    first = found_for(folder, most_rows=50)
    assert set(seen[1:]) == {50}
    assert len(seen[1:]) == 5 * 4
    assert first == found_for(folder, most_rows=50)
    assert first != found_for(folder, most_rows=50, seed=1)


def test_it_is_not_defined_for_too_few_rows_of_a_class(fitted: Callable[..., Path]) -> None:
    assert found_for(fitted("binary"), most_rows=12) == []


def test_the_interval_is_that_of_a_paired_comparison(fitted: Callable[..., Path]) -> None:
    unused = [each for each in found_for(fitted("regression")) if each.column == "width"]
    assert np.isfinite(unused[0].loss)
    assert unused[0].high - unused[0].low < 0.2 * found_for(fitted("regression"))[0].loss
