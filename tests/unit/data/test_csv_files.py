"""CSV files as people have them: what is read, and what each kind of damage is called."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from ropewalk.data.tables import read_table
from ropewalk.errors import DataError

Write = Callable[[dict[str, str | bytes]], Path]
NEW_YEAR = datetime(2013, 1, 1)
NEW_YEAR_UTC = datetime(2013, 1, 1, tzinfo=UTC)


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


@pytest.mark.parametrize(
    ("cells", "type_", "values"),
    [
        (["1", "-2", ""], "int64", [1, -2, None]),
        (["1", "2.5", "NA"], "double", [1.0, 2.5, None]),
        ([" 1", "2 ", "3"], "int64", [1, 2, 3]),
        (["1e3", ".5", "nan"], "double", [1000.0, 0.5, None]),
        (["true", "FALSE", "null"], "bool", [True, False, None]),
        (["red", "N/A", "blue"], "string", ["red", None, "blue"]),
        (["1", "2", "three"], "string", ["1", "2", "three"]),
        (["02134", "10001", "90210"], "string", ["02134", "10001", "90210"]),
        (["0", "0.5", "-0.25"], "double", [0.0, 0.5, -0.25]),
        (["", "NA", "NULL"], "string", [None, None, None]),
        (["2013-01-01", "2013-01-01 00:00", ""], "timestamp[us]", [NEW_YEAR, NEW_YEAR, None]),
        (["2013-01-01T00:00Z", "2013-01-01T02:00:00+02:00"], "timestamp[us, tz=UTC]", [NEW_YEAR_UTC] * 2),
        (["99999999999999999999", "1", "2"], "string", ["99999999999999999999", "1", "2"]),
    ],
)
def test_a_column_gets_the_narrowest_type_that_fits_every_cell(
    raw: Write, cells: list[str], type_: str, values: list[object]
) -> None:
    table = read_table(raw({"t.csv": "x,y\n" + "".join(f"{cell},1\n" for cell in cells)}))
    assert types(table)["x"] == type_
    assert table["x"].to_pylist() == values


def test_one_odd_cell_beyond_any_sample_still_decides_the_type(raw: Write) -> None:
    rows = "".join(f"{row},{row}\n" for row in range(300_000))
    table = read_table(raw({"t.csv": f"a,b\n{rows}oops,1\n"}))
    assert types(table) == {"a": "string", "b": "int64"}
    assert table.num_rows == 300_001


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(raw: Write, mark: str) -> None:
    table = read_table(raw({"t.csv": mark.join(["a", "b", "c"]) + "\n" + mark.join(["1", "x", "2.5"]) + "\n"}))
    assert types(table) == {"a": "int64", "b": "string", "c": "double"}


def test_between_semicolons_a_comma_is_a_decimal_point(raw: Write) -> None:
    table = read_table(raw({"t.csv": "preis;ort;jahr\n1,5;Ulm, alt;2001\n-2;Bonn;2002\n"}))
    assert table.to_pylist() == [
        {"preis": 1.5, "ort": "Ulm, alt", "jahr": 2001},
        {"preis": -2.0, "ort": "Bonn", "jahr": 2002},
    ]


def test_quotes_may_hold_delimiters_line_breaks_and_quotes(raw: Write) -> None:
    table = read_table(raw({"t.csv": 'a,"b, and c"\n"1","x\ny, ""z"""\n2,5" pipe\n'}))
    assert table.to_pylist() == [{"a": 1, "b, and c": 'x\ny, "z"'}, {"a": 2, "b, and c": '5" pipe'}]


def test_a_byte_order_mark_and_windows_line_ends_do_not_show(raw: Write) -> None:
    table = read_table(raw({"t.csv": b"\xef\xbb\xbfname,b\r\nZo\xc3\xab,2\r\n"}))
    assert table.to_pylist() == [{"name": "Zoë", "b": 2}]


def test_tsv_and_gzip_are_read(raw: Write) -> None:
    table = read_table(raw({"a.tsv": "x\ty\n1\tu\n", "b.csv.gz": gzip.compress(b"x,y\n2,v\n")}))
    assert table.to_pylist() == [{"x": 1, "y": "u"}, {"x": 2, "y": "v"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"t\.csv is empty: it has neither column names nor rows"),
        ("\n\n", r"t\.csv is empty"),
        ("a,b\n", r"t\.csv: there are column names \(a, b\) but no rows"),
        ("a,b\n1,2\n3\n4,5\n", r"t\.csv: row 2 \(line 3\) has 1 cells, but the first line names 2 columns.*begins '3'"),
        ('a,b\n"1\n1",2\n\n3,4,5\n', r"t\.csv: row 2 \(line 5\) has 3 cells, .*begins '3,4,5'.*between quotes"),
        ('a,b\n1,"2\n3,4\n5,6\n', r't\.csv: a quote \("\) in row 1 \(line 2\) is never closed'),
        ("a,b,a\n1,2,3\n", r"t\.csv: several columns are named 'a'\. Rename or remove one"),
        (",a,b\n0,1,2\n", r"t\.csv: column 1 of 3 has no name.*index=False"),
        ("1.5,2,7\n3.5,4,8\n", r"t\.csv: the first line looks like data, not column names: 1\.5, 2, 7"),
        (b"a,b\n1,ok\n2,caf\xe9\n", r"t\.csv is not in UTF-8: byte 0xe9 at offset 14 \(line 3, near '2,café'\).*iconv"),
        (b"a,caf\xe9\n1,2\n", r"t\.csv is not in UTF-8: byte 0xe9 at offset 5 \(line 1"),
        ("a,b\n1,2\n".encode("utf-16"), r"t\.csv is in UTF-16, not UTF-8\. Save it as UTF-8"),
    ],
)
def test_damage_is_named_with_file_place_and_remedy(raw: Write, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(raw({"t.csv": content}))


def test_a_cut_gzip_file_is_refused(raw: Write, truncated_gzip: bytes) -> None:
    with pytest.raises(DataError, match=r"t\.csv\.gz is not a whole gzip file .*Copy or compress it again"):
        read_table(raw({"t.csv.gz": truncated_gzip}))


def test_a_file_that_only_claims_to_be_gzip_is_refused(raw: Write) -> None:
    with pytest.raises(DataError, match=r"t\.csv\.gz is not a whole gzip file"):
        read_table(raw({"t.csv.gz": "a,b\n1,2\n"}))


def test_wrong_bytes_are_placed_right_in_a_large_file(raw: Write) -> None:
    good = b"a,b\n" + b"1,\xc3\xa9\n" * 4_000_000
    with pytest.raises(DataError, match=rf"byte 0xff at offset {len(good) + 2} \(line 4000002, near '2,"):
        read_table(raw({"t.csv": good + b"2,\xff\n"}))
