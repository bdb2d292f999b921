"""The pass over a table in batches: it finds what one look at the whole table finds, however it is cut."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ropewalk.artifacts import RAW_DATA, write_artifact
from ropewalk.data import csv_text, tables
from ropewalk.data.tables import open_table, read_table
from ropewalk.errors import DataError
from ropewalk.fingerprints import FingerprintSet, row_fingerprints
from ropewalk.validation.chunk import Chunk
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.counts import Counts
from ropewalk.validation.rules import rules_of_settings
from ropewalk.validation.scan import check_rules, scan_table, spread_rows

MakeRaw = Callable[..., Path]


def mixed(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    number = random.normal(size=rows)
    number[::7], number[::11], number[::13] = np.nan, np.inf, -0.0
    return pd.DataFrame(
        {
            "number": number,
            "whole": pd.array(random.integers(0, 50, rows), dtype="Int64"),
            "text": random.choice(["a", "é", "", "3", None], rows),
            "flag": random.random(rows) < 0.5,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 999, rows), unit="s"),
        }
    )


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut tables into many batches."""
    monkeypatch.setattr(tables, "_BATCH_ROWS", 37)


@pytest.mark.usefixtures("small_batches")
def test_profiles_do_not_depend_on_how_the_table_is_cut_or_sampled(make_raw: MakeRaw) -> None:
    table = mixed(1000)
    raw = make_raw(table)
    whole, sampled = scan_table(open_table(raw)).profiles, scan_table(open_table(raw), most_cells=500).profiles
    for name, column in whole.items():
        other = sampled[name]
        assert other.is_sampled and not column.is_sampled
        assert len(other.values) == 100
        assert other.nulls == column.nulls == int(table[name].isna().sum())
        assert (other.low, other.high, other.infinite) == (column.low, column.high, column.infinite)
        assert other.counts == column.counts
        assert other.distinct == column.distinct
        assert (other.numbers, other.other_texts) == (column.numbers, column.other_texts)
    finite = table["number"][np.isfinite(table["number"])]
    assert whole["number"].mean == pytest.approx(finite.mean())
    assert whole["number"].deviation == pytest.approx(finite.std(ddof=0))


@pytest.mark.usefixtures("small_batches")
def test_repeated_rows_are_those_that_pandas_finds(make_raw: MakeRaw) -> None:
    table = mixed(300).drop(columns=["number", "when"])
    fingerprints = scan_table(open_table(make_raw(table))).fingerprints
    assert fingerprints is not None
    assert fingerprints.repeats() == int(table.duplicated().sum()) > 0


def test_equal_cells_have_equal_fingerprints_wherever_they_stand() -> None:
    texts = ["", "a", "aa", "b", None, "a", "é" * 40, "x\0", "x", ""]
    everywhere = row_fingerprints([Chunk(pa.array(texts), first_row=1)])
    alone = [row_fingerprints([Chunk(pa.array(["pad", text], pa.string()).slice(1), first_row=1)])[0] for text in texts]
    assert everywhere.tolist() == alone
    assert len(set(everywhere.tolist())) == len(set(texts))
    zeros = row_fingerprints([Chunk(pa.array([0.0, -0.0, None]), first_row=1)])
    assert zeros[0] == zeros[1] != zeros[2]


def test_a_set_that_is_too_small_keeps_all_copies_of_a_share_of_the_values() -> None:
    kept = FingerprintSet(most=2000)
    values = np.random.default_rng(0).permutation(np.repeat(np.arange(10_000), 2))
    for part in np.split(values, 20):
        kept.add(row_fingerprints([Chunk(pa.array(part), first_row=1)]))
    assert kept.one_in >= 8
    assert kept.repeats() * kept.one_in == pytest.approx(10_000, rel=0.15)
    assert len(kept.shared()) == 2 * kept.repeats()


def test_the_sample_is_spread_evenly_and_the_same_each_time() -> None:
    chosen = spread_rows(1_000_000, 1000)
    assert len(chosen) == 1000
    assert np.histogram(chosen, bins=10, range=(0, 1_000_000))[0].tolist() == [100] * 10
    assert (chosen == spread_rows(1_000_000, 1000)).all()
    assert spread_rows(5, 10).tolist() == [0, 1, 2, 3, 4]


# Rows that rise, and rows that repeat


KEYS = {
    "rising": np.arange(200),
    "falling": -np.arange(200),
    "rising, then again from the start": np.tile(np.arange(100), 2),
    "rising, then one from before": np.append(np.arange(199), 3),
    "equal at the end of a batch": np.append(np.arange(37), np.arange(36, 199)),
    "times": pd.date_range("2024", periods=200, freq="h"),
    "times, one twice": pd.date_range("2024", periods=199, freq="h").append(pd.DatetimeIndex(["2024-01-02"])),
    "zeros of both signs": np.append(np.append(np.linspace(-2, -1, 100), [-0.0, 0.0]), np.linspace(1, 2, 98)),
    "missing": np.append(np.linspace(0, 1, 198), [np.nan, np.nan]),
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.usefixtures("small_batches")
def test_values_that_are_there_twice_are_found_in_a_column_that_rises_at_first(make_raw: MakeRaw, name: str) -> None:
    frame = pd.DataFrame({"key": KEYS[name], "text": "x"})
    table = open_table(make_raw(frame))
    expected = frame.index[frame["key"].duplicated(keep=False)] + 1
    broken = check_rules(table, rules_of_settings(table.schema, ValidationConfig(unique=("key",))))
    assert [found.rows for found in broken] == [len(expected)] * (len(expected) > 0)
    for found in broken:
        rows = [example.rpartition(" in row ")[2] for example in found.examples]
        assert rows == [str(row) for row in expected[:5]]
    fingerprints = scan_table(table).fingerprints
    assert (fingerprints.repeats() if fingerprints else 0) == frame.duplicated().sum()


# Counted values


def test_values_are_counted_in_the_order_of_their_first_occurrence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropewalk.validation.counts._MOST_PENDING", 100)
    random = np.random.default_rng(0)
    texts = np.where(random.random(5000) < 0.1, None, random.integers(0, 60, 5000).astype(str))
    counts = Counts()
    for part in np.split(texts, 50):
        counts.add(Chunk(pa.array(part, pa.string()), first_row=1))
    expected = pd.Series(texts).value_counts(sort=False)
    assert list((counts.result() or {}).items()) == list(expected.items())


@pytest.mark.parametrize(("values", "are_counted"), [(10_000, True), (10_001, False)])
@pytest.mark.parametrize("missing", [[], [None]])
def test_more_than_ten_thousand_values_are_not_counted(values: int, are_counted: bool, missing: list[None]) -> None:
    counts = Counts()
    for first in range(0, values, 3000):
        counts.add(Chunk(pa.array([*range(first, min(first + 3000, values)), *missing]), first_row=1))
    found = counts.result()
    assert found == (dict.fromkeys(range(values), 1) if are_counted else None)


# The stream of rows


def texts(rows: int = 2000) -> pd.DataFrame:
    random = np.random.default_rng(0)
    few = random.choice(["north", "south", "é", "", None], rows)
    few[-1] = "only at the end"
    return pd.DataFrame(
        {
            "few": few,
            "category": pd.Categorical(few),
            "differ": [f"{row:05}-{number}" for row, number in enumerate(random.random(rows))],
            "none": pd.Series([None] * rows, dtype="str"),
            "number": random.integers(0, 9, rows),
        }
    )


@pytest.mark.usefixtures("small_batches")
def test_text_that_is_stored_as_a_dictionary_stays_one_and_means_the_same(make_raw: MakeRaw) -> None:
    raw = make_raw(texts())
    table, whole = open_table(raw), read_table(raw)
    coded = next(table.coded_batches())
    are_coded = {name for name in coded.schema.names if pa.types.is_dictionary(coded.column(name).type)}
    assert {"few", "category"} <= are_coded
    assert "differ" not in are_coded
    assert pa.Table.from_batches(list(table.batches())).combine_chunks() == whole.combine_chunks()


@pytest.mark.usefixtures("small_batches")
def test_a_value_breaks_a_rule_only_in_the_rows_that_hold_it(make_raw: MakeRaw) -> None:
    table = open_table(make_raw(texts()))
    allowed = dict.fromkeys(("few", "category"), ("north", "south", "é", ""))
    rules = rules_of_settings(table.schema, ValidationConfig(allowed=allowed, required=("few",)))
    found = {(broken.rule.columns[0], broken.rule.name): broken for broken in check_rules(table, rules)}
    for name in ("few", "category"):
        assert found[name, "allowed"].rows == 1
        assert found[name, "allowed"].examples == ("'only at the end' in row 2,000",)
    assert found["few", "required"].rows == int(texts()["few"].isna().sum())


@pytest.mark.usefixtures("small_batches")
def test_a_sample_of_texts_holds_their_values(make_raw: MakeRaw) -> None:
    raw = make_raw(texts())
    profiles = scan_table(open_table(raw), most_cells=500).profiles
    chosen = spread_rows(2000, 100)
    for name, column in profiles.items():
        assert column.values.to_pylist() == read_table(raw).column(name).take(pa.array(chosen)).to_pylist()
        assert column.values.type == column.type


def test_of_selected_columns_no_others_are_read(make_raw: MakeRaw) -> None:
    raw = make_raw(pd.DataFrame({"sound": range(5000), "broken": np.random.default_rng(0).random(5000)}))
    file = raw / "data/table.parquet"
    place = pq.ParquetFile(file).metadata.row_group(0).column(1).data_page_offset
    content = bytearray(file.read_bytes())
    content[place : place + 1000] = bytes(1000)
    file.write_bytes(content)
    table = open_table(raw)
    read = pa.Table.from_batches(list(table.select(["sound"]).batches()))
    assert read.column_names == ["sound"]
    assert read["sound"].to_pylist() == list(range(5000))
    with pytest.raises(DataError, match="is not a whole Parquet file"):
        list(table.batches())


def raw_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    with write_artifact(tmp_path / "raw", RAW_DATA) as draft:
        for name, content in files.items():
            file = draft.folder / "data" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    return tmp_path / "raw"


CSVS = {
    "types": "i,f,b,t,z,s,n,zip,big,mix\n"
    + "".join(
        f"{row},{row}.5,{row % 2 == 0},2024-01-01 00:00:{row % 60:02},2024-01-01T00:00:00Z,"
        f"a{row},,0{row},{2**63 + row},{row}\n"
        for row in range(60)
    )
    + "1,2,NA,,,x,,12,5,word\n",
    "late fraction": "x\n" + "1\n" * 90 + "2.5\n",
    "late text": "x\n" + "1\n" * 90 + "two\n",
    "decimal comma": "a;b\n" + "1,5;x\n" * 30 + "2;y\n",
    "quotes": 'a,b\n"one\nline",1\n' + '"x, y",2\n' * 20,
    "spaces": "a,b\n 1 , x\n" + "2,y \n" * 20,
}


@pytest.mark.parametrize("name", CSVS)
@pytest.mark.usefixtures("small_batches")
def test_a_streamed_csv_is_the_one_that_is_read_whole(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 300)
    raw = raw_of(tmp_path, {"t.csv": CSVS[name].encode()})
    stream, whole = open_table(raw), read_table(raw)
    assert stream.schema == whole.schema
    assert stream.rows == whole.num_rows
    assert pa.Table.from_batches(list(stream.batches())).combine_chunks() == whole.combine_chunks()


def test_several_files_and_gzip_stream_as_one_table(tmp_path: Path) -> None:
    raw = raw_of(tmp_path, {"a.csv": b"x,y\n1,a\n2,b\n", "b/c.csv.gz": gzip.compress(b"y,x\n,2.5\n")})
    assert pa.Table.from_batches(list(open_table(raw).batches())).to_pylist() == read_table(raw).to_pylist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,y\n1,2\n3\n", r"row 2 \(line 3\) has 1 cells"),
        (b"x,y\n", r"there are column names \(x, y\) but no rows"),
        (b'x,y\n1,"2\n', r"is never closed"),
        (b"x\n\xff\n", r"is not in UTF-8"),
    ],
)
def test_a_broken_csv_is_told_as_when_it_is_read_whole(tmp_path: Path, content: bytes, message: str) -> None:
    raw = raw_of(tmp_path, {"t.csv": content})
    for read in (open_table, read_table):
        with pytest.raises(DataError, match=message):
            read(raw)


def test_a_broken_parquet_page_is_told(make_raw: MakeRaw) -> None:
    raw = make_raw(mixed(5000))
    file = raw / "data/table.parquet"
    content = bytearray(file.read_bytes())
    content[100:4000] = bytes(3900)
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"table\.parquet is not a whole Parquet file"):
        list(open_table(raw).batches())
