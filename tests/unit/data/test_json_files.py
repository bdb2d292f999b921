"""JSON lines: columns and types come from all lines, and what is wrong is told by line."""

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from ropewalk.data import json_files
from ropewalk.data.guess import GuessError
from ropewalk.data.tables import guess_table, open_table, read_table
from ropewalk.errors import DataError

Write = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut files into many blocks."""
    monkeypatch.setattr(json_files, "_BLOCK_BYTES", 40)


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.jsonl.gz", "t.ndjson.gz"])
def test_lines_become_rows_with_simple_types(raw: Write, name: str) -> None:
    lines = '\ufeff{"x":1,"t":"2024-01-02 03:04:05","s":"Zoë","b":true}\r\n\n{"s":null,"x":2,"z":0.5}\n'.encode()
    table = read_table(raw({name: gzip.compress(lines) if name.endswith(".gz") else lines}))
    assert table.to_pylist() == [
        {"x": 1, "t": datetime(2024, 1, 2, 3, 4, 5), "s": "Zoë", "b": True, "z": None},
        {"x": 2, "t": None, "s": None, "b": None, "z": 0.5},
    ]
    assert [str(field.type) for field in table.schema] == ["int64", "timestamp[us]", "string", "bool", "double"]


@pytest.mark.usefixtures("small_blocks")
def test_a_file_in_many_blocks_streams_as_it_reads_whole(raw: Write) -> None:
    lines = [f'{{"x":{row},"late":{"null" if row < 50 else row / 2},"s":"{"ä" * (row % 30)}"}}' for row in range(100)]
    artifact = raw({"t.jsonl": "\n".join(lines)})
    whole = read_table(artifact)
    assert whole["late"].to_pylist() == [None] * 50 + [row / 2 for row in range(50, 100)]
    stream = open_table(artifact)
    assert (stream.rows, stream.schema) == (100, whole.schema)
    assert pa.Table.from_batches(stream.batches()).combine_chunks() == whole.combine_chunks()
    encoded = pa.Table.from_batches(stream.encoded_batches()).cast(whole.schema)
    assert encoded.combine_chunks() == whole.combine_chunks()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("later", ['{"x": 2.5}', '{"x": 1, "y": 3}'])
def test_a_guess_that_a_later_line_belies_is_given_up(raw: Write, later: str) -> None:
    artifact = raw({"t.jsonl": '{"x": 1}\n' * 20 + later})
    with pytest.raises(GuessError):
        list(guess_table(artifact).batches())
    assert open_table(artifact).rows == 21


@pytest.mark.usefixtures("small_blocks")
def test_points_in_time_that_meet_other_text_are_text(raw: Write) -> None:
    table = read_table(raw({"t.jsonl": '{"t":"2024-01-01"}\n' * 5 + '{"t":"unknown"}\n'}))
    assert table["t"].to_pylist() == ["2024-01-01"] * 5 + ["unknown"]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"x": 1', r"t\.jsonl, line 8: it is not JSON \(.*It begins '\{\"x\": 1'\. Correct or remove it"),
        (b"[1, 2]", r"t\.jsonl, line 8: it holds a list, not an object"),
        (b'{"x": "\xff"}', r"t\.jsonl, line 8: it is not in UTF-8 \(invalid start byte at byte 7\)"),
        (b'{"x": "one"}', r"t\.jsonl.*'?x'?.*(int64|number).*string"),
    ],
)
def test_a_bad_line_is_named_with_its_file(raw: Write, line: bytes, message: str) -> None:
    artifact = raw({"t.jsonl": b'{"x": 1}\n' * 6 + b"\n" + line + b'\n{"x": 1}\n'})
    with pytest.raises(DataError, match=message):
        read_table(artifact)
    with pytest.raises(DataError, match=message):
        open_table(artifact)


def test_a_truncated_gzip_file_is_told(raw: Write) -> None:
    content = gzip.compress(b'{"x": 1}\n' * 1000)[:-20]
    with pytest.raises(DataError, match=r"t\.jsonl\.gz is not a whole gzip file"):
        read_table(raw({"t.jsonl.gz": content}))


def test_lines_and_other_files_make_one_table(raw: Write) -> None:
    artifact = raw({"a.jsonl": '{"y": "b", "x": 2}\n', "b.csv": "x,y\n1.5,a\n"})
    assert read_table(artifact).to_pylist() == [{"y": "b", "x": 2.0}, {"y": "a", "x": 1.5}]
    with pytest.raises(DataError, match=r"different columns\. Only in a\.jsonl: z"):
        read_table(raw({"a.jsonl": '{"z": 1}\n', "b.csv": "x\n1\n"}))
