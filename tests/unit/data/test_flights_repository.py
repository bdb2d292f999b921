"""The flights example: a real Git and DVC repository of real data, built whole or not at all."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ropewalk.data.pull import pull
from ropewalk.data.tables import read_table

SCRIPT = Path(__file__).parents[3] / "examples" / "flights" / "build_repository.py"
AFTER_DEPARTURE = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}

Git = Callable[..., str]


def build(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, directory], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("example") / "flights"
    done = build(directory)
    assert done.returncode == 0, done.stderr
    assert f"--data {directory} --data-path flights.parquet --target late --time-column time_hour" in done.stdout
    return directory


def test_every_flight_of_the_year_is_there_and_nothing_known_only_later(flights: Path) -> None:
    table = pq.read_table(flights / "flights.parquet")
    assert table.num_rows == 336_776
    assert table["late"].null_count == 9_430
    assert pc.mean(table["late"].cast("float64")).as_py() == pytest.approx(0.237, abs=0.001)
    assert table["temp"].null_count == 1_573
    assert set(table.column_names).isdisjoint(AFTER_DEPARTURE)
    assert table["time_hour"].to_pylist() == sorted(table["time_hour"].to_pylist())


def test_both_versions_can_be_pulled(flights: Path, tmp_path: Path) -> None:
    pull(str(flights), path="flights.parquet", output=tmp_path / "year")
    pull(str(flights), path="flights.parquet", revision="2013-h1", output=tmp_path / "half")
    assert read_table(tmp_path / "year").num_rows == 336_776
    half = read_table(tmp_path / "half")
    assert half.num_rows == 166_158
    assert pc.max(half["month"]).as_py() == 6


def test_a_second_build_changes_nothing_and_says_so(flights: Path, git: Git) -> None:
    before = git(flights, "rev-parse", "HEAD"), (flights / ".git").stat().st_mtime_ns
    done = build(flights)
    assert "already there and whole; nothing to do" in done.stdout
    assert (git(flights, "rev-parse", "HEAD"), (flights / ".git").stat().st_mtime_ns) == before
    assert git(flights, "status", "--porcelain") == ""


def test_a_killed_build_leaves_nothing_in_place_and_the_next_one_ends_right(
    flights: Path, tmp_path: Path, git: Git
) -> None:
    directory = tmp_path / "flights"
    with subprocess.Popen([sys.executable, SCRIPT, directory], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Version 2013-h1"):
            assert process.poll() is None
        process.kill()
    assert not directory.exists()
    (tmp_path / "flights-remote").mkdir()
    (tmp_path / "flights-remote" / "half").write_text("as if killed between the two renames")
    assert build(directory).returncode == 0
    assert git(directory, "rev-parse", "HEAD") == git(flights, "rev-parse", "HEAD")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flights", "flights-remote"]
    assert not (tmp_path / "flights-remote" / "half").exists()


def test_another_folder_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights" / "mine.txt").write_text("keep me")
    done = build(tmp_path / "flights")
    assert done.returncode == 1
    assert "is not a whole flights repository" in done.stderr
    assert (tmp_path / "flights" / "mine.txt").read_text() == "keep me"
