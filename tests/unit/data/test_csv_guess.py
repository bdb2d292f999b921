"""A CSV file that is read by a guess: the same rows as when every cell is looked at, or the guess is given up."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ropewalk.data import csv_files, csv_text, csv_typed
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
    monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 300)
    for size in ("_LINES_BYTES", "_AHEAD_BYTES"):
        monkeypatch.setattr(csv_typed, size, 300)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize(
    "last",
    [
        ROW,
        " -2 ,NA,false,,b,,\n",
        "9,-0,,2024-12-31,é x,,0\n",
        "-0,1e5,0,,007,,x\n",
        "0,+5,1,, 007,,+01\n",
        f"{2**63 - 1},{2**63 - 1},,,-00,,\n",
        "\t5 ,\t.5 , true ,,\t,,\n",
        "5,inf,,,1e5,,-0\n",
        "5,-inf,,,01/02/2013,,\n",
        "5,0,,,00:05,,\n",
        ",,,,,,\n",
        "\n\n",
        "5,10.05,,,a 01,,\r\n",
    ],
)
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
        "+05,1,true,,a,,1\n",
        " 05,1,true,,a,,1\n",
        "1,\t-05.5,true,,a,,1\n",
        "007 ,1,true,,a,,1\n",
        "1e5,1,true,,a,,1\n",
        "+5,1,true,,a,,1\n",
        "inf,1,true,,a,,1\n",
        "\ufeff1,1,true,,a,,1\n",
        "  ,1,true,,a,,1\n",
        "1, NA,true,,a,,1\n",
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
        "plus zero",
        "blank zero",
        "tab zero",
        "zero blank",
        "exponent",
        "plus",
        "infinite",
        "mark",
        "blanks",
        "blank missing",
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


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_line_ends_delimiters_and_an_open_last_line_change_nothing(
    raw: Write, line_end: str, mark: str, end: str
) -> None:
    content = (HEAD + ROW * 50 + "2,0.5,,,00:05,,01\n3,2,,,b,,4" + end).replace(",", mark).replace("\n", line_end)
    artifact = raw({"t.csv": content.encode()})
    whole = read_table(artifact)
    assert pa.Table.from_batches(guess_table(artifact).batches()).combine_chunks() == whole.combine_chunks()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("zero", ["01", "+01", "-00", " 02"])
@pytest.mark.parametrize("place", ["first", "second", "end"])
def test_a_late_leading_zero_is_found_wherever_it_stands(
    raw: Write, line_end: str, mark: str, zero: str, place: str
) -> None:
    last = {"first": f"{zero},2,x,3\n", "second": f"1,{zero},x,3\n", "end": f"1,2,x,{zero}"}[place]
    content = ("a,b,s,c\n" + "1,2,007,3\n" * 100 + last).replace(",", mark).replace("\n", line_end)
    with pytest.raises(GuessError):
        list(guess_table(raw({"t.csv": content.encode()})).batches())


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("zero", ["01", "+01", " 01"])
def test_a_late_leading_zero_is_found_among_quotes(raw: Write, zero: str) -> None:
    content = 'a,s\n"1","x\ny"\n' + '1,"x, y"\n' * 100
    assert guess_table(raw({"t.csv": content})).schema.field("a").type == pa.int64()
    with pytest.raises(GuessError):
        list(guess_table(raw({"t.csv": f'{content}"{zero}",z\n'})).batches())


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("first", "last"), [("+5", f"{2**65}"), (f"{2**65}", "1.5"), (f"{2**65}", "x"), ("1,5", "1.5"), ("1,5", "01,5")]
)
def test_a_type_that_hangs_on_digits_is_given_up_for_other_digits(raw: Write, first: str, last: str) -> None:
    content = "a;b\n" + f"{first};x\n" * 100
    fitting = raw({"t.csv": content})
    whole = read_table(fitting).combine_chunks()
    assert pa.Table.from_batches(guess_table(fitting).batches()).combine_chunks() == whole
    with pytest.raises(GuessError):
        list(guess_table(raw({"t.csv": f"{content}{last};x\n"})).batches())


@pytest.mark.usefixtures("small_blocks")
def test_blocks_are_joined_and_their_texts_share_a_dictionary(raw: Write) -> None:
    artifact = raw({"t.csv": HEAD + "".join(ROW.replace(",a,", f",a{row % 7},") for row in range(100))})
    (batch,) = guess_table(artifact).encoded_batches()
    assert batch.column("s").dictionary.to_pylist() == [f"a{number}" for number in range(7)]
    assert batch.column("s").to_pylist() == read_table(artifact)["s"].to_pylist()


def test_the_number_of_rows_is_about_right(raw: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "_GUESS_BYTES", 2000)
    artifact = raw({"t.csv": HEAD + ROW * 1000})
    assert guess_table(artifact).rows == pytest.approx(1000, rel=0.1)
    assert open_table(artifact).rows == 1000


def test_the_beginning_is_checked_at_once(raw: Write) -> None:
    with pytest.raises(DataError, match="the first line looks like data"):
        guess_table(raw({"t.csv": "1,2\n3,4\n"}))
