import gzip
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from ropewalk.artifacts import PREPROCESSOR, RAW_DATA, Manifest, read_artifact, write_artifact
from ropewalk.data import csv_files
from ropewalk.errors import ArtifactError, ConfigError, DataError, StorageError
from ropewalk.preprocess import splits
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.preprocessor import load_preprocessor
from ropewalk.preprocess.splits import open_split, read_split


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


# Files of every kind


def write_raw(folder: Path, files: dict[str, bytes]) -> Path:
    with write_artifact(folder / "raw", RAW_DATA) as draft:
        (draft.folder / "data").mkdir()
        for name, content in files.items():
            (draft.folder / "data" / name).write_bytes(content)
    return folder / "raw"


def as_csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False).encode()


def as_lines(table: pd.DataFrame) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in table.to_dict("records")).encode()


def contents(folder: Path) -> dict[str, pd.DataFrame]:
    return {
        name: read_split(folder / name)[0].to_pandas().sort_values("day", ignore_index=True)
        for name in ("train", "validation", "test")
    }


@pytest.mark.parametrize(
    "files",
    [
        {"t.csv": as_csv(frame())},
        {"t.csv.gz": gzip.compress(as_csv(frame()))},
        {"t.tsv": as_csv(frame()).replace(b",", b"\t")},
        {"t.jsonl": as_lines(frame())},
        {"t.ndjson.gz": gzip.compress(as_lines(frame()))},
        {
            "a.csv": as_csv(frame()[:100]),
            "b.jsonl": as_lines(frame()[100:300]),
            "c.csv.gz": gzip.compress(as_csv(frame()[300:])),
        },
    ],
    ids=lambda files: "+".join(files),
)
def test_files_of_every_kind_split_like_parquet(
    tmp_path: Path, make_raw: Callable[..., Path], files: dict[str, bytes]
) -> None:
    run(make_raw(frame()))
    expected = contents(tmp_path)
    run(write_raw(tmp_path, files))
    for name, table in contents(tmp_path).items():
        pd.testing.assert_frame_equal(table, expected[name], check_exact=False, rtol=1e-12)


def test_a_csv_whose_last_row_changes_a_type_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(csv_files, "_GUESS_BYTES", 2000)
    table = frame().astype({"day": object})
    table.loc[399, "day"] = "last"
    run(write_raw(tmp_path, {"t.csv": as_csv(table)}))
    assert "looking at every cell first" in capsys.readouterr().out
    days = pa.concat_tables(read_split(tmp_path / name)[0] for name in ("train", "validation", "test"))["day"]
    assert sorted(days.to_pylist()) == sorted(map(str, table["day"]))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": b"x,late\n1,0\n", "b.csv": b"z,late\n1,0\n"}, "a.csv and b.csv have different columns"),
        ({"a.csv": b"x,late\n1,0\n", "b.csv": b"x,late\ntwo,0\n"}, "differ in the type of column 'x'"),
        ({"a.jsonl": b'{"x":1,"late":0}\n{"x":1,"late":\n'}, "a.jsonl, line 2: it is not JSON"),
        ({"a.csv": b"x,late\n1,0\n2\n"}, r"row 2 \(line 3\) has 1 cells"),
    ],
)
def test_broken_files_are_refused_and_nothing_is_written(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(write_raw(tmp_path, files))
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_regression_on_text_is_refused(make_raw: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="target 'city' must hold numbers for a regression, and holds string"):
        run(make_raw(frame()), target="city", task="regression")


# Splits


def test_a_split_is_written_and_read_in_row_groups_of_bounded_size(
    make_raw: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "ROW_GROUP", 32)
    monkeypatch.setattr(splits, "_PART_ROWS", 64)
    raw = make_raw(frame())
    manifest = run(raw)["train"]
    assert len(manifest.files) == -(-manifest.facts["rows"] // 64)
    stream = open_split(raw.parent / "train")
    batches = list(stream.batches())
    assert max(batch.num_rows for batch in batches) == 32
    assert sum(batch.num_rows for batch in batches) == stream.rows
    assert pa.Table.from_batches(batches).equals(read_split(raw.parent / "train")[0])
    assert next(stream.batches(["city"])).schema.names == ["city"]


def test_a_column_says_where_each_row_goes_and_is_no_feature(make_raw: Callable[..., Path]) -> None:
    table = frame()
    table["part"] = np.array(["train", "validation", "test"])[table["day"] % 3]
    raw = make_raw(table)
    run(raw, config=PreprocessConfig(split_column="part"))
    for name, split in contents(raw.parent).items():
        assert set(split["part"]) == {name}
    part = load_preprocessor(raw.parent / "preprocessor").columns[-1]
    assert (part.role, part.reason) == ("ignored", "says which split a row falls into")


def test_a_split_that_a_column_leaves_empty_is_refused_by_name(make_raw: Callable[..., Path]) -> None:
    table = frame()
    table["part"] = np.array(["train", "validation"])[table["day"] % 2]
    with pytest.raises(DataError, match="No rows are left for test out of 400: the column 'part' must name each of"):
        run(make_raw(table), config=PreprocessConfig(split_column="part"))


def test_two_ways_to_split_are_refused(make_raw: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="both say how to split"):
        run(make_raw(frame()), time_column="day", config=PreprocessConfig(split_column="city"))


def test_rows_stay_in_their_split_when_rows_are_added_before_them(make_raw: Callable[..., Path]) -> None:
    old, more = frame(), frame(300).assign(day=lambda table: table["day"] + 1000)
    raw = make_raw(old)
    run(raw)
    before = {name: set(split["day"]) for name, split in contents(raw.parent).items()}
    run(make_raw(pd.concat([more, old], ignore_index=True)))
    after = {name: {day for day in split["day"] if day < 1000} for name, split in contents(raw.parent).items()}
    assert after == before


def test_a_class_that_training_rows_lack_is_refused(make_raw: Callable[..., Path]) -> None:
    table = frame().assign(late=lambda table: np.where(table["day"] > 390, 2, table["late"]))
    with pytest.raises(DataError, match="holds 2, which no training row had; the classes are 0, 1"):
        run(make_raw(table), time_column="day")


# Leaks


def warnings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning:")]


@pytest.mark.parametrize(
    ("task", "copy"),
    [
        ("binary", lambda late: late),
        ("binary", lambda late: late.map({0: "on time", 1: "late"})),
        ("binary", lambda late: 5.0 - late),
        ("binary", lambda late: late == 1),
        ("binary", lambda late: late.where(late.index % 3 > 0).astype("Int64").astype(str).replace("<NA>", None)),
        ("regression", lambda late: late),
    ],
    ids=["equal", "renamed", "recoded", "truth", "with gaps", "number"],
)
def test_a_copy_of_the_target_is_found(
    make_raw: Callable[..., Path], capsys: pytest.CaptureFixture[str], task: str, copy: Callable
) -> None:
    table = frame()
    if task == "regression":
        table["late"] = table["x"] * 3 + table["day"]
    table["copy"] = copy(table["late"])
    raw = make_raw(table)
    run(raw, task=task)
    assert [line for line in warnings(capsys) if "'copy' is the target 'late' under another name" in line]
    with pytest.raises(DataError, match="'copy' is the target 'late' under another name"):
        run(raw, task=task, config=PreprocessConfig(target_copies="fail"))
    run(raw, task=task, config=PreprocessConfig(target_copies="fail", ignore=("copy",)))


def test_columns_that_only_resemble_the_target_are_no_copies(
    make_raw: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    table = frame()
    table["nearly"] = np.where(table["day"] % 40 == 0, 1 - table["late"], table["late"])
    table["finer"] = table["late"] * 10 + table["day"] % 4
    table["rare"] = table["late"].where(table["day"] < 20)
    run(make_raw(table), config=PreprocessConfig(target_copies="fail"))
    assert warnings(capsys) == []


def test_a_key_in_two_splits_is_found(make_raw: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    table = frame().assign(customer=lambda table: table["day"] // 10)
    raw = make_raw(table.assign(customer=table["day"] % 40))
    run(raw, time_column="day", config=PreprocessConfig(key_column="customer"))
    assert "40 values of the key 'customer' are both in train and in validation" in warnings(capsys)[0]
    with pytest.raises(DataError, match=r"40 values of the key 'customer'.*preprocess.shared_keys is 'fail'"):
        run(raw, time_column="day", config=PreprocessConfig(key_column="customer", shared_keys="fail"))
    run(make_raw(table), time_column="day", config=PreprocessConfig(key_column="customer", shared_keys="fail"))


def test_rows_repeated_across_splits_are_found(
    make_raw: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    table = frame()
    table.loc[390:, ["x", "city"]] = table.loc[:9, ["x", "city"]].to_numpy()
    raw = make_raw(table)
    run(raw, time_column="day")
    assert "10 different rows, compared in 2 columns, are both in train and in test" in warnings(capsys)[0]
    with pytest.raises(DataError, match=r"preprocess\.repeated_rows is 'fail'"):
        run(raw, time_column="day", config=PreprocessConfig(repeated_rows="fail"))


def test_repeated_rows_cannot_be_torn_apart_by_a_hash_of_the_row(
    make_raw: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.concat([frame(), frame()], ignore_index=True)
    raw = make_raw(table)
    run(raw, config=PreprocessConfig(repeated_rows="fail"))
    seen = [set(split["day"]) for split in contents(raw.parent).values()]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


# Faults of the machine


@pytest.fixture
def small_files() -> Iterator[None]:
    """The kernel refuses writes past a file-size limit, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_nothing_behind(make_raw: Callable[..., Path], request: pytest.FixtureRequest) -> None:
    raw = make_raw(frame(20_000))
    request.getfixturevalue("small_files")
    with pytest.raises(StorageError, match=r"Cannot write .*MB are free"):
        run(raw)
    assert [path.name for path in raw.parent.iterdir()] == ["raw"]


def test_killed_in_the_middle_it_can_be_run_again(make_raw: Callable[..., Path]) -> None:
    raw = make_raw(frame(400_000))
    out = raw.parent
    outputs = [word for name in ("train", "validation", "test", "preprocessor") for word in (f"--{name}", out / name)]
    words = ["-m", "ropewalk.preprocess", "--data", raw, *outputs, "--target", "late", "--task", "binary"]
    process = subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.DEVNULL)
    part = out / "train.partial" / "part-00000.parquet"
    while not (part.exists() and part.stat().st_size > 4):
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert not any((out / name / "manifest.json").exists() for name in ("train", "validation", "test", "preprocessor"))
    manifests = run(raw)
    assert sum(manifests[name].facts["rows"] for name in ("train", "validation", "test")) == 400_000
    assert sorted(path.name for path in out.iterdir()) == ["preprocessor", "raw", "test", "train", "validation"]


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    """Four times the rows take at most a tenth more memory, and the 15 MB of a sample that is now full."""
    peaks = []
    for rows in (200_000, 800_000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        columns = {f"x{place}": np.random.default_rng(place).normal(size=50_000) for place in range(6)}
        table = pa.table({**columns, "late": np.arange(50_000) % 2})
        with write_artifact(folder / "raw", RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            with pa.parquet.ParquetWriter(draft.folder / "data" / "t.parquet", table.schema) as writer:
                for _ in range(rows // 50_000):
                    writer.write_table(table)
        ended = subprocess.run(
            [sys.executable, "-c", MEASURE, str(folder)], check=True, stdout=subprocess.PIPE, text=True
        )
        peaks.append(int(ended.stdout.split()[-1]))
    assert peaks[1] < 1.1 * peaks[0] + 15_000


MEASURE = """
import sys
from pathlib import Path
from ropewalk.preprocess.preprocess import preprocess
folder = Path(sys.argv[1])
outputs = {name: folder / name for name in ("train", "validation", "test", "preprocessor")}
preprocess(folder / "raw", **outputs, target="late", task="binary")
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def test_importing_it_loads_neither_pandas_nor_scipy_nor_rich() -> None:
    script = (
        "import sys, ropewalk.preprocess.preprocess; "
        "sys.exit(', '.join({'pandas', 'scipy', 'rich', 'torch', 'sklearn'} & sys.modules.keys()) or 0)"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_preprocessing_a_table_loads_neither_pandas_nor_rich(make_raw: Callable[..., Path], tmp_path: Path) -> None:
    raw = make_raw(frame().assign(share=[None, 0.5] * 200))
    script = f"""
import sys
from pathlib import Path
from ropewalk.preprocess.preprocess import preprocess
out = Path({str(tmp_path)!r})
outputs = {{name: out / name for name in ("train", "validation", "test", "preprocessor")}}
preprocess(Path({str(raw)!r}), **outputs, target="late", task="binary")
sys.exit(", ".join({{"pandas", "rich", "scipy", "pyarrow.dataset"}} & sys.modules.keys()) or 0)
"""
    ended = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_roles_are_shown_in_a_table_with_their_reasons(
    make_raw: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"Row {row} came with a remark that nobody will ever read in full." for row in range(400)]
    run(make_raw(frame().assign(note=texts, when=pd.Timestamp("2024-01-01") + pd.to_timedelta(range(400), unit="h"))))
    out = capsys.readouterr().out
    rows = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line.strip()}
    assert rows["column"] == "column type role missing read as because"
    assert rows["city"] == "city string categorical 0.0% 3 categories holds text"
    assert rows["when"].startswith("when timestamp[us] datetime 0.0% 3 numbers")
    assert "set aside" in rows["note"]
    assert "warning: 'note' reads like free text" in out
    assert "400 rows in " in out
