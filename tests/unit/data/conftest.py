"""Raw-data artifacts, and a real Git and DVC repository, for the tests of the data step."""

import gzip
import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo

from ropewalk.artifacts import RAW_DATA, write_artifact

AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main")


def run_git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *AUTHOR, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def git() -> Callable[..., str]:
    """Return a function that runs git in a folder and returns what it prints."""
    return run_git


@pytest.fixture
def raw(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Return a function that writes files as a raw-data artifact and returns its path."""

    def write(files: dict[str, str | bytes]) -> Path:
        with write_artifact(tmp_path / "raw", RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            for name, content in files.items():
                file = draft.folder / "data" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "raw"

    return write


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `repository` and its DVC remote `remote`, in two versions; to be copied, never changed.

    Tracked by DVC: table.csv and the folder parts; by Git: plain.csv. Tag v1 is the first version.
    """
    place = tmp_path_factory.mktemp("built")
    repository = place / "repository"
    repository.mkdir()
    logging.getLogger("dvc").setLevel(logging.ERROR)
    run_git(repository, "init", "--quiet")
    with Repo.init(str(repository)) as repo:
        with repo.config.edit("repo") as config:
            config["core"]["remote"] = "beside"
            config["remote"]["beside"] = {"url": str(place / "remote")}
        (repository / ".dvc" / "config").write_text(
            "[core]\n    remote = beside\n['remote \"beside\"']\n    url = ../../remote\n"
        )
        (repository / "parts" / "deep").mkdir(parents=True)
        for number in range(3):
            (repository / "parts" / f"part-{number}.csv").write_text(f"a,b\n{number},1\n")
        (repository / "parts" / "deep" / "part-3.csv").write_text("a,b\n3,1\n")
        (repository / "plain.csv").write_text("a,b\n1,2\n")
        for version in (1, 2):
            (repository / "table.csv").write_text("a,b\n" + f"{version},0\n" * version)
            repo.add([str(repository / "table.csv"), str(repository / "parts")])
            repo.push()
            run_git(repository, "add", "--all")
            run_git(repository, "commit", "--quiet", "-m", f"Version {version}")
            run_git(repository, "tag", f"v{version}")
    return place


@pytest.fixture
def repository(built: Path, tmp_path: Path) -> Path:
    """A copy of the repository, its remote beside it."""
    shutil.copytree(built, tmp_path / "copy")
    return tmp_path / "copy" / "repository"


@pytest.fixture
def truncated_gzip() -> bytes:
    """A gzip file of a table that ends before its end."""
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (row, row * 7919 % 10007) for row in range(20_000)))
    return whole[: len(whole) // 2]
