import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ropewalk.errors import ArtifactError, DataError
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.learning import learn_columns
from ropewalk.preprocess.preprocessor import MISSING, UNKNOWN, Preprocessor, load_preprocessor

TRAIN = pa.table(
    {
        "amount": [0.0, 1.0, 2.0, 3.0, None],
        "floor": [1, 2, 3, 3, None],
        "city": ["a", "b", "a", None, "c"],
        "paid": [True, False, True, None, True],
        "when": [datetime(2024, 1, day, 12) for day in (1, 2, 3, 4, 5)],
        "target": ["no", "yes", "no", "yes", "yes"],
    }
)


@pytest.fixture
def learned() -> Preprocessor:
    columns = tuple(learn_columns(TRAIN, "target", PreprocessConfig()))
    return Preprocessor(task="binary", target="target", classes=("no", "yes"), columns=columns)


def row(**values) -> pa.Table:
    whole = {"amount": 1.5, "floor": 3, "city": "a", "paid": True, "when": datetime(2024, 1, 3, 12), **values}
    return pa.table({name: value if isinstance(value, pa.Array) else [value] for name, value in whole.items()})


def test_known_values_become_positions_and_scaled_numbers(learned: Preprocessor) -> None:
    encoded = learned.encode(row())
    # Floor 3, city a, paid true: the most frequent of each; then the third of the days of week and of the year.
    assert encoded.codes_BC.tolist() == [[2, 2, 2, 4, 4]]
    assert encoded.numbers_BN[0, 0] == 0.0  # the median
    assert not encoded.missing_BN.any()
    assert (encoded.numbers_BN.dtype, encoded.codes_BC.dtype) == (np.float32, np.int32)


def test_unseen_categories_and_absent_values_have_codes_of_their_own(learned: Preprocessor) -> None:
    assert learned.encode(row(city="nowhere", floor=99)).codes_BC[0, :2].tolist() == [UNKNOWN, UNKNOWN]
    absent = learned.encode(row(city=pa.array([None], pa.string()), floor=pa.array([None], pa.int64())))
    assert absent.codes_BC[0, :2].tolist() == [MISSING, MISSING]
    assert absent.numbers_BN[0, 1] == 0.0
    assert absent.missing_BN[0, 1] == 1.0


def test_parts_of_times_with_few_values_are_categories_too(learned: Preprocessor) -> None:
    assert [coded.name for coded in learned.coded] == ["floor", "city", "paid", "when.day_of_week", "when.day_of_year"]
    later = learned.encode(row(when=datetime(2024, 3, 3, 12)))
    assert later.codes_BC[0, 4] == UNKNOWN
    assert learned.encode(row(when=pa.array([None], pa.timestamp("us")))).codes_BC[0, 4] == MISSING
    none = learn_columns(TRAIN, "target", PreprocessConfig(integer_categories=3))
    assert all(not number.vocabulary for number in next(one for one in none if one.name == "when").numbers)


def test_parts_of_times_that_are_not_whole_are_numbers_only() -> None:
    table = TRAIN.set_column(4, "when", pa.array([datetime(2024, 1, 1, hour, 30) for hour in (1, 2, 3, 4, 5)]))
    (when,) = [column for column in learn_columns(table, "target", PreprocessConfig()) if column.name == "when"]
    assert [(number.part, number.vocabulary) for number in when.numbers] == [("hour", ())]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_numbers_that_are_not_finite_are_missing(learned: Preprocessor, value: float) -> None:
    encoded = learned.encode(row(amount=value))
    assert (encoded.numbers_BN[0, 0], encoded.missing_BN[0, 0]) == (0.0, 1.0)


def test_huge_numbers_stay_finite(learned: Preprocessor) -> None:
    assert np.isfinite(learned.encode(row(amount=1e308)).numbers_BN).all()


def test_other_types_of_the_same_values_encode_alike(learned: Preprocessor) -> None:
    """A data frame turns integers with gaps into floats, and JSON has no timestamps with units."""
    plain = learned.encode(row())
    other = learned.encode(
        row(
            amount=pa.array([1.5], pa.float32()),
            floor=pa.array([3.0]),
            when=pa.array([datetime(2024, 1, 3, 12)], pa.timestamp("ns")),
        )
    )
    for one, two in zip(vars(plain).values(), vars(other).values(), strict=True):
        assert np.array_equal(one, two)


def test_columns_may_come_in_any_order_and_more_than_needed(learned: Preprocessor) -> None:
    shuffled = row().select(["when", "city", "amount", "paid", "floor"]).append_column("extra", [[1]])
    assert np.array_equal(learned.encode(shuffled).codes_BC, learned.encode(row()).codes_BC)


def test_a_missing_column_and_an_unreadable_value_are_named(learned: Preprocessor) -> None:
    with pytest.raises(DataError, match="Columns are missing: city"):
        learned.encode(row().drop_columns(["city"]))
    with pytest.raises(DataError, match=r"'amount' was double \(numeric\)"):
        learned.encode(row(amount="much"))
    with pytest.raises(DataError, match="'when' was timestamp"):
        learned.encode(row(when="yesterday"))


def test_no_rows_encode_to_no_rows(learned: Preprocessor) -> None:
    assert learned.encode(row().slice(0, 0)).numbers_BN.shape[0] == 0


def test_the_target_becomes_class_indices(learned: Preprocessor) -> None:
    assert learned.encode_target(TRAIN).tolist() == [0, 1, 0, 1, 1]
    with pytest.raises(DataError, match="'maybe', which no training row had"):
        learned.encode_target(pa.table({"target": ["no", "maybe"]}))
    with pytest.raises(DataError, match="missing in 1 of 2 rows"):
        learned.encode_target(pa.table({"target": ["no", None]}))
    with pytest.raises(DataError, match="target column 'target' is missing"):
        learned.encode_target(row())


def test_saved_and_loaded_it_is_equal_and_readable(learned: Preprocessor, tmp_path: Path) -> None:
    learned.save(tmp_path)
    assert load_preprocessor(tmp_path) == learned
    content = json.loads((tmp_path / "preprocessor.json").read_text())
    assert [column["name"] for column in content["columns"]] == TRAIN.column_names[:-1]
    (tmp_path / "preprocessor.json").write_text(json.dumps({**content, "format_version": 9}))
    with pytest.raises(ArtifactError, match="format 9"):
        load_preprocessor(tmp_path)


def test_a_whole_number_target_has_classes_without_a_decimal_point() -> None:
    frame = pd.DataFrame({"target": [0.0, 1.0]})
    learned = Preprocessor(task="binary", target="target", classes=("0", "1"), columns=())
    assert learned.encode_target(pa.Table.from_pandas(frame)).tolist() == [0, 1]
