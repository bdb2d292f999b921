"""A CSV file that is read by a guess: the same rows as when every cell is looked at, or the guess is given up."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ropewalk.data import csv_files
from ropewalk.data.guess import GuessError
from ropewalk.data.tables import guess_table, open_table, read_table
from ropewalk.errors import DataError

Write = Callable[[dict[str, str | bytes]], Path]
ROW = "1,1.5,true,2024-01-01 00:00:00,a,,007\n"
HEAD = "i,f,b,t,s,n,zip\n"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guess from the first two rows, and read in many blocks."""
    monkeypatch.setattr(csv_files, "_GUESS_BYTES", len(HEAD) + 2 * len(ROW) + 5)
    monkeypatch.setattr(csv_files, "_BLOCK_BYTES", 300)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize("last", [ROW, " -2 ,NA,false,,b,,\n", "9,-0,,2024-12-31,é x,,0\n"])
def test_rows_that_fit_the_guess_are_those_that_are_read_whole(raw: Write, name: str, last: str) -> None:
    content = (HEAD + ROW * 50 + last + ROW * 3).encode()
    artifact = raw({name: gzip.compress(content) if name.endswith(".gz") else content})
    guessed, whole = guess_table(artifact), read_table(artifact)
    assert guessed.schema == whole.schema
    assert pa.Table.from_batches(guessed.batches()).combine_chunks() == whole.combine_chunks()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "last",
    [
        "2.5,1,true,,a,,1\n",
        "x,1,true,,a,,1\n",
        "01,1,true,,a,,1\n",
        f"{2**63},1,true,,a,,1\n",
        "1,-00.5,true,,a,,1\n",
        "1,1,yes,,a,,1\n",
        "1,1,true,soon,a,,1\n",
        "1,1,true,,a,late,1\n",
        '1,1,true,,"a\nb",,1\n',
        '1,1,true,,a,,"1\n',
        "1,1,true,,a,,1,2\n",
        b"1,1,true,,\xff,,1\n",
    ],
    ids=[
        "fraction",
        "text",
        "zero",
        "long",
        "signed zero",
        "word",
        "time",
        "late",
        "quotes",
        "open",
        "ragged",
        "bytes",
    ],
)
def test_a_row_that_does_not_fit_the_guess_gives_it_up(raw: Write, last: str | bytes) -> None:
    tail = last.encode() if isinstance(last, str) else last
    artifact = raw({"t.csv": (HEAD + ROW * 50).encode() + tail + ROW.encode()})
    with pytest.raises(GuessError):
        list(guess_table(artifact).batches())


def test_the_number_of_rows_is_about_right(raw: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "_GUESS_BYTES", 2000)
    artifact = raw({"t.csv": HEAD + ROW * 1000})
    assert guess_table(artifact).rows == pytest.approx(1000, rel=0.1)
    assert open_table(artifact).rows == 1000


def test_the_beginning_is_checked_at_once(raw: Write) -> None:
    with pytest.raises(DataError, match="the first line looks like data"):
        guess_table(raw({"t.csv": "1,2\n3,4\n"}))
