from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ropewalk.artifacts import PREPROCESSOR, Manifest, read_artifact
from ropewalk.errors import ArtifactError, ConfigError, DataError
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.preprocessor import load_preprocessor
from ropewalk.preprocess.splits import read_split


def frame(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "city": rng.choice(["a", "b", "c"], rows),
            "day": np.arange(rows),
            "late": rng.integers(0, 2, rows),
        }
    )


def run(raw: Path, **arguments) -> dict[str, Manifest]:
    out = raw.parent
    paths = {name: out / name for name in ("train", "validation", "test", "preprocessor")}
    return preprocess(raw, **paths, **{"target": "late", "task": "binary", **arguments})


def test_every_row_lands_in_exactly_one_split_with_its_raw_values(make_raw: Callable[..., Path]) -> None:
    raw = make_raw(frame())
    run(raw)
    splits = [read_split(raw.parent / name)[0].to_pandas() for name in ("train", "validation", "test")]
    together = pd.concat(splits).sort_values("day", ignore_index=True)
    pd.testing.assert_frame_equal(together, frame(), check_dtype=False)


def test_the_preprocessor_learns_from_training_rows_alone(make_raw: Callable[..., Path]) -> None:
    table = frame()
    table.loc[380:, "city"] = "only in the test rows"
    table.loc[380:, "x"] = 1e6
    raw = make_raw(table)
    run(raw, time_column="day")
    learned = load_preprocessor(raw.parent / "preprocessor")
    city, x = (next(column for column in learned.columns if column.name == name) for name in ("city", "x"))
    assert "only in the test rows" not in city.vocabulary
    assert x.numbers[0].edges[-1] < 1e6


def test_manifests_lead_back_to_the_raw_data(make_raw: Callable[..., Path]) -> None:
    raw = make_raw(frame())
    manifests = run(raw)
    source = manifests["preprocessor"].made_from[0]
    assert (source["kind"], source["facts"]["split"]) == ("split", "train")
    assert source["made_from"][0]["kind"] == "raw-data"
    assert sum(manifests[name].facts["rows"] for name in ("train", "validation", "test")) == 400


def test_rows_without_a_target_are_dropped_and_counted(
    make_raw: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    table = frame().astype({"late": float})
    table.loc[:9, "late"] = None
    manifests = run(make_raw(table))
    assert sum(manifests[name].facts["rows"] for name in ("train", "validation", "test")) == 390
    assert "dropped 10 of 400 rows" in capsys.readouterr().out
    assert load_preprocessor(make_raw(frame(), "other").parent / "preprocessor").classes == ("0", "1")


def test_running_twice_gives_the_same_bytes(make_raw: Callable[..., Path]) -> None:
    raw = make_raw(frame())
    first, second = run(raw), run(raw)
    assert {name: manifest.digest for name, manifest in first.items()} == {
        name: manifest.digest for name, manifest in second.items()
    }


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"target": "lat"}, DataError, "no target column 'lat'.*Did you mean 'late'"),
        ({"task": "binry"}, ConfigError, "Did you mean 'binary'"),
        ({"time_column": "dayy"}, ConfigError, "time_column names 'dayy'.*Did you mean 'day'"),
        ({"config": PreprocessConfig(key_column="nothing")}, ConfigError, "key_column names 'nothing'"),
        ({"config": PreprocessConfig(ignore=("x", "city", "day"))}, DataError, "No column is left to learn from"),
        ({"target": "city"}, DataError, r"hold 3 class\(es\) of 'city'"),
    ],
)
def test_what_cannot_be_split_is_refused_and_nothing_is_written(
    make_raw: Callable[..., Path], arguments: dict, error: type[Exception], message: str
) -> None:
    raw = make_raw(frame())
    with pytest.raises(error, match=message):
        run(raw, **arguments)
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


def test_a_time_column_with_gaps_is_refused(make_raw: Callable[..., Path]) -> None:
    table = frame().astype({"day": float})
    table.loc[3, "day"] = None
    with pytest.raises(DataError, match="time column 'day' is empty in 1 rows"):
        run(make_raw(table), time_column="day")


def test_too_few_rows_to_fill_three_splits_are_refused(make_raw: Callable[..., Path]) -> None:
    table = frame(4)
    table["late"] = [0, 1, 0, 1]
    with pytest.raises(DataError, match="No rows are left"):
        run(make_raw(table))


def test_altered_raw_data_is_refused(make_raw: Callable[..., Path]) -> None:
    raw = make_raw(frame())
    file = raw / "data" / "table.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="has changed"):
        run(raw)


def test_one_row_key_keeps_its_rows_together(make_raw: Callable[..., Path]) -> None:
    table = frame()
    table["customer"] = table.index // 8
    raw = make_raw(table)
    run(raw, config=PreprocessConfig(key_column="customer"))
    seen = [set(read_split(raw.parent / name)[0]["customer"].to_pylist()) for name in ("train", "validation", "test")]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert read_artifact(raw.parent / "preprocessor", PREPROCESSOR).facts["task"] == "binary"
