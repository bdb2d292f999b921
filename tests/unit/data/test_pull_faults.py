"""Pulling when things go wrong on the way: kills, a full disk, a damaged cache, hostile records, odd names."""

import hashlib
import logging
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from dvc.repo import Repo

from ropewalk.artifacts import RAW_DATA, read_artifact
from ropewalk.data.pull import pull
from ropewalk.errors import DataError, SourceError, StorageError

Git = Callable[..., str]
PARTS = {f"part-{number}.csv": f"a,b\n{number},1\n".encode() for number in range(3)} | {
    "deep/part-3.csv": b"a,b\n3,1\n"
}
ODD_NAMES = ["two words.csv", "it's.csv", 'quoted".csv', "new\nline.csv", "naïve-数据.csv", "-n.csv", "[a]*?.csv"]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def pulled(output: Path) -> dict[str, bytes]:
    files = [file for file in (output / "data").rglob("*") if file.is_file()]
    return {file.relative_to(output / "data").as_posix(): file.read_bytes() for file in files}


def add_to_dvc(repository: Path, git: Git, *names: str) -> None:
    logging.getLogger("dvc").setLevel(logging.ERROR)
    with Repo(str(repository)) as repo:
        repo.add([str(repository / name) for name in names])
        repo.push()
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "more")


# Subsets


def test_a_pattern_chooses_files_of_a_folder(repository: Path, output: Path) -> None:
    manifest = pull(str(repository), path="parts", pattern="deep/*.csv", output=output)
    assert pulled(output) == {"deep/part-3.csv": PARTS["deep/part-3.csv"]}
    assert manifest.facts["pattern"] == "deep/*.csv"
    assert (manifest.facts["files"], manifest.facts["bytes"]) == (1, 8)


def test_a_pattern_fetches_nothing_else(repository: Path, output: Path) -> None:
    store = repository.parent / "remote" / "files" / "md5"
    for file in store.rglob("*"):
        if file.is_file() and file.read_bytes() in set(PARTS.values()) - {PARTS["part-1.csv"]}:
            file.unlink()
    pull(str(repository), path="parts", pattern="*[!023].csv", output=output)
    assert pulled(output) == {"part-1.csv": PARTS["part-1.csv"]}


def test_a_pattern_that_fits_nothing_says_so(repository: Path, output: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No file of parts in .* matches the pattern '\*\.txt'"):
        pull(str(repository), path="parts", pattern="*.txt", output=output)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.csv").write_text("a\n1\n")
    with pytest.raises(SourceError, match=r"matches the pattern '\*\.txt'\. It has a\.csv"):
        pull(str(tmp_path / "plain"), pattern="*.txt", output=output)


def test_files_of_git_and_dvc_in_one_folder_come_together(repository: Path, output: Path, git: Git) -> None:
    (repository / "mixed").mkdir()
    (repository / "mixed" / "large.csv").write_text("a\n1\n")
    add_to_dvc(repository, git, "mixed/large.csv")
    (repository / "mixed" / "small.csv").write_text("a\n2\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "small")
    pull(str(repository), path="mixed", output=output)
    assert pulled(output) == {"large.csv": b"a\n1\n", "small.csv": b"a\n2\n"}


def test_the_output_of_a_dvc_stage_comes_as_dvc_lock_has_it(repository: Path, output: Path, git: Git) -> None:
    (repository / "params.yaml").write_text("name: made\n")
    (repository / "dvc.yaml").write_text("stages:\n  make:\n    cmd: touch ran\n    outs: ['${name}.csv']\n")
    content = b"a,b\n7,7\n"
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    (repository / "dvc.lock").write_text(
        f"schema: '2.0'\nstages:\n  make:\n    cmd: touch ran\n    outs:\n    - path: made.csv\n      hash: md5\n"
        f"      md5: {md5}\n      size: 8\n"
    )
    store = repository.parent / "remote" / "files" / "md5" / md5[:2]
    store.mkdir(exist_ok=True)
    (store / md5[2:]).write_bytes(content)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "stage")
    manifest = pull(str(repository), path="made.csv", output=output)
    assert pulled(output) == {"made.csv": content}
    assert manifest.facts["hash"] == f"md5:{md5}"
    assert not (repository / "ran").exists()


def test_a_file_from_before_dvc_3_comes_from_its_own_place(repository: Path, output: Path, git: Git) -> None:
    content, unix = b"a,b\r\n1,2\r\n", b"a,b\n1,2\n"
    md5 = hashlib.md5(unix, usedforsecurity=False).hexdigest()
    (repository / "old.csv.dvc").write_text(f"outs:\n- md5: {md5}\n  size: 10\n  path: old.csv\n")
    store = repository.parent / "remote" / md5[:2]
    store.mkdir()
    (store / md5[2:]).write_bytes(content)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "old")
    pull(str(repository), path="old.csv", output=output)
    assert pulled(output) == {"old.csv": content}


def test_git_fetches_no_file_that_is_not_wanted(repository: Path, output: Path, git: Git) -> None:
    (repository / "large.bin").write_bytes(random.Random(0).randbytes(3_000_000))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "large")
    command = [sys.executable, "-m", "ropewalk.data", "pull", "--source", str(repository), "--path", "plain.csv"]
    with limited_files(1_000_000):
        done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert pulled(output) == {"plain.csv": b"a,b\n1,2\n"}


# Names and records


def test_odd_names_come_unchanged(repository: Path, output: Path, git: Git) -> None:
    for folder in ("odd", "odd by git"):
        (repository / folder).mkdir()
        for name in ODD_NAMES:
            (repository / folder / name).write_text(name)
    add_to_dvc(repository, git, "odd")
    for folder in ("odd", "odd by git"):
        manifest = pull(str(repository), path=folder, output=output)
        assert pulled(output) == {name: name.encode() for name in ODD_NAMES}
        assert read_artifact(output, RAW_DATA) == manifest
    for name in ODD_NAMES:
        pull(str(repository), path=f"odd by git/{name}", output=output)
        assert pulled(output) == {name: name.encode()}


@pytest.mark.parametrize("target", ["../outside.csv", "{tmp}/outside.csv"])
def test_a_record_of_a_file_outside_is_refused(
    repository: Path, output: Path, git: Git, tmp_path: Path, target: str
) -> None:
    record = (repository / "table.csv.dvc").read_text()
    (repository / "evil.csv.dvc").write_text(record.replace("table.csv", target.format(tmp=tmp_path)))
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "evil")
    with pytest.raises(DataError, match=r"evil\.csv\.dvc tracks '.*outside\.csv', which is outside of the repository"):
        pull(str(repository), path="evil.csv", output=output)
    assert not list(tmp_path.rglob("outside.csv"))


@pytest.mark.parametrize("md5", ["../../../../../../etc/passwd", "/etc/passwd", "z" * 32])
def test_a_hash_that_is_a_path_is_refused(repository: Path, output: Path, git: Git, md5: str) -> None:
    record = repository / "table.csv.dvc"
    old = next(line.split()[-1] for line in record.read_text().splitlines() if "md5: " in line)
    record.write_text(record.read_text().replace(old, f"'{md5}'"))
    git(repository, "commit", "--quiet", "-am", "evil")
    with pytest.raises(DataError, match=r"table\.csv: DVC's record has '.*', which is not an MD5"):
        pull(str(repository), path="table.csv", output=output)


# Cache


def test_the_cache_serves_when_the_remote_is_gone(repository: Path, output: Path, tmp_path: Path) -> None:
    pull(str(repository), path="parts", cache=tmp_path / "cache", output=output)
    shutil.rmtree(repository.parent / "remote")
    shutil.rmtree(output)
    pull(str(repository), path="parts", cache=tmp_path / "cache", output=output)
    assert pulled(output) == PARTS


def test_a_damaged_cache_is_replaced_not_trusted(
    repository: Path, output: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pull(str(repository), path="parts", cache=tmp_path / "cache", output=output)
    damaged = [file for file in (tmp_path / "cache" / "files").rglob("*") if file.is_file()]
    for file in damaged:
        file.write_bytes(b"damaged")
    pull(str(repository), path="parts", cache=tmp_path / "cache", output=output)
    assert pulled(output) == PARTS
    assert "The cache has other bytes for parts/part-0.csv than were recorded" in capfd.readouterr().out
    assert all(file.read_bytes() != b"damaged" for file in damaged)


def test_several_processes_share_a_cache(repository: Path, tmp_path: Path) -> None:
    def run(number: int) -> int:
        command = [sys.executable, "-m", "ropewalk.data", "pull", "--source", str(repository), "--path", "parts"]
        options = ["--cache", str(tmp_path / "cache"), "--output", str(tmp_path / f"output-{number}")]
        return subprocess.run([*command, *options], capture_output=True, check=False).returncode

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, range(3))) == [0, 0, 0]
    assert all(pulled(tmp_path / f"output-{number}") == PARTS for number in range(3))
    assert list((tmp_path / "cache" / "unfinished").iterdir()) == []


# Disk and kills


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: to a process the same as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_told_and_nothing_is_left(repository: Path, output: Path, git: Git) -> None:
    (repository / "large.bin").write_bytes(random.Random(0).randbytes(3_000_000))
    add_to_dvc(repository, git, "large.bin")
    with limited_files(1_000_000), pytest.raises(StorageError, match=r"Cannot write .*Free some space"):
        pull(str(repository), path="large.bin", output=output)
    assert not list(output.parent.glob("output*"))


def test_a_pull_that_is_killed_anywhere_ends_right_the_next_time(
    repository: Path, output: Path, git: Git, tmp_path: Path
) -> None:
    generator = random.Random(1)
    (repository / "many").mkdir()
    many = {f"{number:03d}.bin": generator.randbytes(50_000) for number in range(200)}
    for name, content in many.items():
        (repository / "many" / name).write_bytes(content)
    add_to_dvc(repository, git, "many")
    code = (
        "import sys; from pathlib import Path; from ropewalk.data.pull import pull; import ropewalk.data.versioned;"
        "print('ready', flush=True); sys.stdin.readline();"
        f"pull({str(repository)!r}, path='many', cache=Path({str(tmp_path / 'cache')!r}), output=Path({str(output)!r}))"
    )
    for point in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdout.readline()
            process.stdin.write("go\n")
            process.stdin.flush()
            time.sleep(generator.uniform(0, 0.7) if point else 0.3)
            process.kill()
        if output.exists():
            read_artifact(output, RAW_DATA)
            shutil.rmtree(output)
            shutil.rmtree(tmp_path / "cache")
    pull(str(repository), path="many", cache=tmp_path / "cache", output=output)
    assert pulled(output) == many
    for file in (tmp_path / "cache" / "files").rglob("*"):
        if file.is_file():
            found = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
            assert found == f"{file.parent.name}{file.name}".removesuffix(".dir")
    assert sorted(path.name for path in tmp_path.glob("output*")) == ["output"]
