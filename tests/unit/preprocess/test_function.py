"""The user's own function: the same rows through pandas in preprocessing, training and serving."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ropewalk.data import tables
from ropewalk.errors import ConfigError, DataError
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.function import find_function
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.preprocessor import load_preprocessor
from ropewalk.preprocess.splits import read_split
from ropewalk.registry.frames import to_table

MODULE = """
import numpy as np
import pandas as pd

def ratio(rows):
    made = pd.DataFrame({"ratio": rows["width"] / rows["height"], "city": rows["city"].str.upper()})
    made["flag"] = rows["flag"]
    made["month"] = rows["when"].dt.month
    if "outcome" in rows:
        made["late"] = rows["outcome"] > 0
    return made

def gaps(rows):
    made = ratio(rows)
    made["late"] = made["late"].astype("boolean").mask(rows["width"] < 2)
    return made

def a_list(rows):
    return rows["width"].tolist()

def fewer(rows):
    return rows[rows["width"] > 5]

def one_hot(rows):
    return pd.concat([rows, pd.get_dummies(rows["city"].iloc[:1])], axis=1)

def retyped(rows):
    return rows.assign(width=rows["width"].astype(str) if rows["width"].iloc[0] > 40 else rows["width"])

def mixed(rows):
    return rows.assign(width=[1, "a"] * (len(rows) // 2) + [None] * (len(rows) % 2))

constant = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a module in the working folder."""
    name = "own_features"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)
    find_function.cache_clear()


@pytest.fixture
def raw(make_raw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows in several batches, the first of which lacks gaps that later ones have."""
    monkeypatch.setattr(tables, "_BATCH_ROWS", 40)
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "width": pd.array(range(1, 301), dtype="Int64"),
            "height": random.uniform(1, 2, 300),
            "city": random.choice(["ulm", "bonn"], 300),
            "flag": pd.array(random.random(300) < 0.5, dtype="boolean"),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, 300), unit="D"),
            "outcome": random.normal(size=300),
        }
    )
    table.loc[100::7, ["width", "flag"]] = None
    return make_raw(table)


def run(raw: Path, function: str, target: str = "late", **settings) -> Path:
    paths = {name: raw.parent / name for name in ("train", "validation", "test", "preprocessor")}
    preprocess(raw, **paths, target=target, task="binary", config=PreprocessConfig(function=function, **settings))
    return raw.parent


def test_its_columns_are_learned_while_the_splits_keep_raw_rows(raw: Path, module: str) -> None:
    folder = run(raw, f"{module}:ratio")
    learned = load_preprocessor(folder / "preprocessor")
    assert {column.name: column.role for column in learned.columns} == {
        "ratio": "numeric",
        "city": "categorical",
        "flag": "boolean",
        "month": "numeric",
    }
    assert learned.function == f"{module}:ratio"
    assert learned.columns[1].vocabulary is not None
    assert sorted(learned.columns[1].vocabulary) == ["BONN", "ULM"]
    train = read_split(folder / "train")[0]
    assert train.column_names == ["width", "height", "city", "flag", "when", "outcome"]
    assert learned.encode_target(train).tolist() == [int(value > 0) for value in train["outcome"].to_pylist()]
    assert learned.encode(train).numbers_BN.shape == (train.num_rows, 2)


def test_serving_applies_it_to_raw_columns_without_the_target(raw: Path, module: str) -> None:
    folder = run(raw, f"{module}:ratio", ignore=("month",))
    learned = load_preprocessor(folder / "preprocessor")
    test = read_split(folder / "test")[0]
    rows = pd.DataFrame({name: pd.Series(test[name].to_pylist(), dtype=object) for name in test.column_names})
    served = learned.encode(to_table(rows.drop(columns=["outcome"]), [c for c in learned.takes if c.name != "outcome"]))
    for mine, theirs in zip(vars(served).values(), vars(learned.encode(test)).values(), strict=True):
        assert mine.tobytes() == theirs.tobytes()
    single = learned.encode(test.drop_columns(["outcome"]).slice(3, 1))
    assert (single.numbers_BN == served.numbers_BN[3:4]).all()


def test_rows_whose_target_it_empties_are_left_out(raw: Path, module: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(raw, f"{module}:gaps")
    assert "dropped 30 of 300 rows that have no 'late'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("nowhere:ratio", ConfigError, "module 'nowhere' cannot be found.*install it in the image.*PYTHONPATH"),
        ("own_features:rato", ConfigError, "has no function 'rato'.*Did you mean 'ratio'"),
        ("own_features:constant", ConfigError, "has no function 'constant'"),
        ("own_features:a_list", DataError, "returned list, not a pandas DataFrame"),
        ("own_features:fewer", DataError, "returned 35 rows for 40.*set its target to None"),
        ("own_features:one_hot", DataError, "other columns for a later batch: without (ulm|bonn), and with (ulm|bonn)"),
        ("own_features:retyped", DataError, "'width' as int64 for the first batch and as string for a later one"),
        ("own_features:mixed", DataError, "a DataFrame that Arrow cannot hold"),
    ],
)
@pytest.mark.usefixtures("module")
def test_what_it_must_not_do_is_told(raw: Path, function: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(raw, function, target="outcome")
    assert not (raw.parent / "train").exists()


def test_an_error_inside_it_reaches_the_user_as_it_is(raw: Path, module: str) -> None:
    with pytest.raises(KeyError, match="late"):
        load_preprocessor(run(raw, f"{module}:gaps") / "preprocessor").encode(
            pa.table({"width": [1], "height": [2.0], "city": ["ulm"], "flag": [True], "when": [pd.Timestamp(0)]})
        )
