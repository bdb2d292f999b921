"""Tables in files: which files count, how several become one, and which types come out."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ropewalk.data.tables import read_table
from ropewalk.errors import DataError

Write = Callable[[dict[str, str | bytes]], Path]


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def test_files_are_joined_in_the_order_of_their_names(raw: Write) -> None:
    table = read_table(
        raw({"b.csv": "x,y\n2,b\n", "a/1.csv": "y,x\na,1\n", "README.md": "not a table", "_tmp.csv": "z\n1\n"})
    )
    assert table.to_pylist() == [{"y": "a", "x": 1}, {"y": "b", "x": 2}]


def test_whole_numbers_in_one_file_meet_fractions_or_nothing_in_another(raw: Write) -> None:
    table = read_table(raw({"a.csv": "x,y\n1,\n", "b.csv": "x,y\n2.5,7\n", "c.csv": "x,y\n,8\n"}))
    assert table.to_pydict() == {"x": [1.0, 2.5, None], "y": [None, 7, 8]}


def test_files_of_two_types_are_refused_by_name(raw: Write) -> None:
    with pytest.raises(DataError, match=r"a\.csv and b\.csv differ in the type of column 'y': int64 and string"):
        read_table(raw({"a.csv": "x,y\n1,2\n", "b.csv": "x,y\n1,two\n"}))


def test_the_file_that_set_the_type_is_named(raw: Write) -> None:
    with pytest.raises(DataError, match=r"b\.csv and c\.csv differ in the type of column 'y': int64 and string"):
        read_table(raw({"a.csv": "x,y\n1,\n", "b.csv": "x,y\n1,2\n", "c.csv": "x,y\n1,two\n"}))


def test_files_with_other_columns_are_refused_by_name(raw: Write) -> None:
    with pytest.raises(
        DataError, match=r"a\.csv and b\.csv have different columns\. Only in a\.csv: y; only in b\.csv: z, w"
    ):
        read_table(raw({"a.csv": "x,y\n1,2\n", "b.csv": "x,z,w\n1,2,3\n"}))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "hello"}, r"There is no table in the data: found notes\.txt\. Readable are \.csv"),
        ({}, r"There is no table in the data: found nothing"),
        ({"year=2013/t.csv": "a\n1\n"}, r"year=2013/t\.csv lies in a folder named like a partition"),
        ({"t.parquet": b"PAR1 and then nothing"}, r"t\.parquet is not a whole Parquet file"),
        ({"t.parquet": parquet(pa.table({"a": [1]}))[:-20]}, r"t\.parquet is not a whole Parquet file"),
        ({"t.parquet": parquet(pa.table({"a": pa.array([], pa.int64())}))}, r"column names \(a\) but no rows"),
        ({"t.parquet": parquet(pa.table([[1], [2]], names=["a", "a"]))}, r"t\.parquet: several columns are named 'a'"),
    ],
)
def test_what_is_no_table_is_refused(raw: Write, files: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(raw(files))


@pytest.mark.parametrize(
    ("stored", "type_", "value"),
    [
        (pa.array([1], pa.int8()), "int64", 1),
        (pa.array([2**63], pa.uint64()), "double", 2.0**63),
        (pa.array([1.5], pa.float32()), "double", 1.5),
        (pa.array([float("nan")], pa.float64()), "double", None),
        (pa.array([Decimal("1.50")]), "double", 1.5),
        (pa.array(["x"], pa.large_string()), "string", "x"),
        (pa.array(["x"]).dictionary_encode(), "string", "x"),
        (pa.array([date(2013, 1, 2)]), "timestamp[us]", datetime(2013, 1, 2)),
        (
            pa.array([1], pa.timestamp("ns", "America/New_York")),
            "timestamp[us, tz=UTC]",
            datetime(1970, 1, 1, tzinfo=UTC),
        ),
        (pa.array([None], pa.null()), "string", None),
        (pa.array([True]), "bool", True),
        (pa.array([[1, 2]]), "list<element: int64>", [1, 2]),
        (pa.array([b"x"]), "binary", b"x"),
    ],
)
def test_parquet_types_become_simple_and_the_rest_stays(
    raw: Write, stored: pa.Array, type_: str, value: object
) -> None:
    column = read_table(raw({"t.parquet": parquet(pa.table({"x": stored}))}))["x"]
    assert str(column.type) == type_
    assert column[0].as_py() == value
