"""What a source is now, found out without fetching data, is what pulling then gets."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.data.config import DataConfig
from ropewalk.data.pull import pull, pull_with_reference
from ropewalk.data.resolve import Resolved, resolve
from ropewalk.errors import SourceError

Git = Callable[..., str]


def test_a_branch_becomes_its_commit_and_the_hash_that_dvc_recorded(repository: Path, tmp_path: Path, git: Git) -> None:
    found = resolve(str(repository), path="table.csv", revision="v1")
    assert found.revision == git(repository, "rev-parse", "v1")
    assert found.hash == f"md5:{hashlib.md5(b'a,b' + bytes([10]) + b'1,0' + bytes([10])).hexdigest()}"
    pulled = pull(str(repository), path="table.csv", revision=found.revision, output=tmp_path / "out")
    assert (pulled.facts["commit"], pulled.facts["hash"]) == (found.revision, found.hash)


def test_a_folder_has_the_hash_of_its_list_and_its_parts_have_none(repository: Path) -> None:
    assert resolve(str(repository), path="parts").hash.endswith(".dir")
    assert resolve(str(repository), path="parts/part-0.csv").hash == ""
    assert resolve(str(repository), path="plain.csv").hash == ""


def test_no_data_are_fetched(repository: Path) -> None:
    (repository.parent / "remote").rename(repository.parent / "elsewhere")
    assert resolve(str(repository), path="table.csv").hash.startswith("md5:")


def test_plain_files_are_named_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    found = resolve(str(tmp_path / "t.csv"))
    assert found == Resolved(revision="", hash=found.hash, pattern="", cache="", reference_revision="")
    assert pull(str(tmp_path / "t.csv"), output=tmp_path / "out").facts["hash"] == found.hash
    (tmp_path / "t.csv").write_text("a\n2\n")
    assert resolve(str(tmp_path / "t.csv")).hash != found.hash


def test_a_pattern_counts_only_the_files_that_it_allows(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "folder" / name).write_text("x\n1\n")
    only = DataConfig(pattern="a*")
    before = resolve(str(tmp_path / "folder"), config=only).hash
    (tmp_path / "folder" / "b.csv").write_text("x\n2\n")
    assert resolve(str(tmp_path / "folder"), config=only).hash == before


def test_a_changed_schema_makes_another_version_of_a_plain_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    alone = resolve(str(tmp_path / "t.csv")).hash
    (tmp_path / "t.schema.yaml").write_text("columns: {a: {dtype: int64}}\n")
    assert resolve(str(tmp_path / "t.csv")).hash != alone


def test_data_that_change_between_resolving_and_pulling_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    found = resolve(str(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("a\n2\n")
    with pytest.raises(SourceError, match=r"has changed since the run began: its hash is sha256:\w+, and was sha256:"):
        pull(str(tmp_path / "t.csv"), expected_hash=found.hash, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_reference_is_pinned_too(repository: Path, git: Git) -> None:
    found = resolve(str(repository), path="table.csv", config=DataConfig(reference_revision="v1"))
    assert found.reference_revision == git(repository, "rev-parse", "v1")
    assert found.revision == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("source", "path", "reference", "message"),
    [
        ("{repository}", "tabel.csv", "", r"tabel\.csv is not tracked in .*Did you mean 'table\.csv'"),
        ("{repository}", "table.csv", "v9", r"has no branch, tag or commit 'v9'"),
        ("sample:wine", "", "v1", r"sample:wine is a sample: it has neither"),
        ("sample:win", "", "", r"There is no sample 'win'"),
        ("https://me:hunter2@example.invalid/r.git", "t", "", r"holds a user name, password or token"),
    ],
)
def test_what_cannot_be_had_is_refused(repository: Path, source: str, path: str, reference: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        resolve(source.format(repository=repository), path=path, config=DataConfig(reference_revision=reference))
    assert "hunter2" not in str(caught.value)


def test_the_reference_comes_beside_the_data(repository: Path, tmp_path: Path) -> None:
    places = {"output": tmp_path / "new", "reference": tmp_path / "old"}
    pull_with_reference(str(repository), path="table.csv", reference_revision="v1", **places)
    assert (tmp_path / "old" / "data" / "table.csv").read_bytes() == b"a,b\n1,0\n"
    assert (tmp_path / "new" / "data" / "table.csv").read_bytes() == b"a,b\n2,0\n2,0\n"


def test_the_schema_of_one_table_comes_along_from_git_and_from_a_folder(
    repository: Path, tmp_path: Path, git: Git
) -> None:
    (repository / "table.schema.yaml").write_text("columns: {a: {dtype: int64}}\n")
    (repository / "parts.schema.yaml").write_text("columns: {}\n")
    git(repository, "add", "table.schema.yaml", "parts.schema.yaml")
    git(repository, "commit", "-qm", "Schemas")
    manifest = pull(str(repository), path="table.csv", output=tmp_path / "versioned")
    names = sorted(file.name for file in (tmp_path / "versioned" / "data").iterdir())
    assert names == ["table.csv", "table.schema.yaml"]
    assert manifest.facts["hash"] == resolve(str(repository), path="table.csv").hash
    pull(str(repository), path="parts", output=tmp_path / "folder")
    assert not list((tmp_path / "folder").rglob("*.yaml"))
    (tmp_path / "houses.csv.gz").write_bytes(b"")
    (tmp_path / "houses.schema.yaml").write_text("columns: {a: {dtype: int64}}\n")
    pull(str(tmp_path / "houses.csv.gz"), output=tmp_path / "plain")
    assert sorted(file.name for file in (tmp_path / "plain" / "data").iterdir()) == [
        "houses.csv.gz",
        "houses.schema.yaml",
    ]
