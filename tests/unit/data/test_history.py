"""The versions of a path and what changed between two, from real repositories."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.data.compare import ColumnChange, FileChange, compare
from ropewalk.data.history import list_versions
from ropewalk.data.push import push
from ropewalk.errors import ServiceError, SourceError

Git = Callable[..., str]


@pytest.mark.parametrize("address", ["{}", "file://{}"])
def test_versions_of_a_file_come_newest_first_with_hash_size_and_tags(repository: Path, git: Git, address: str) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
    git(repository, "tag", "later")
    second, first = list_versions(address.format(repository), "table.csv")
    assert [first.tags, second.tags] == [["v1"], ["later", "v2"]]
    assert [first.message, second.message] == ["Version 1", "Version 2"]
    assert (first.bytes, second.bytes, first.files) == (8, 12, 1)
    assert second.commit == git(repository, "rev-parse", "v2")
    assert first.hash.startswith("md5:")
    assert first.hash != second.hash
    assert first.author == "Test"
    assert first.date[:2] == "20"


def test_a_tracked_folder_has_the_versions_in_which_it_changed(repository: Path) -> None:
    (only,) = list_versions(str(repository), "parts")
    assert (only.files, only.tags) == (4, ["v1", "v2"])
    assert only.hash.endswith(".dir")


def test_what_git_tracks_itself_has_versions_too(repository: Path) -> None:
    (only,) = list_versions(str(repository), "plain.csv")
    assert (only.files, only.bytes) == (1, 8)
    assert only.hash.startswith("git:")


def test_a_folder_with_tracked_data_counts_the_data_and_not_the_records(hub: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name * 10)
        push(tmp_path / name, repository=str(hub), path=f"data/{name}")
    both, one = list_versions(str(hub), "data")
    assert [(version.files, version.bytes) for version in (one, both)] == [(1, 30), (2, 60)]


def test_what_was_pushed_is_listed_under_its_tag(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    pushed = push(tmp_path / "t.csv", repository=str(hub), path="t.csv")
    (version,) = list_versions(str(hub), "t.csv")
    assert (version.commit, version.hash, version.tags) == (pushed.commit, pushed.hash, [pushed.tag])


def test_a_removal_and_a_side_branch_are_listed(repository: Path, git: Git) -> None:
    git(repository, "switch", "--quiet", "--create", "side", "v1")
    git(repository, "rm", "--quiet", "table.csv.dvc")
    git(repository, "commit", "--quiet", "-m", "Remove")
    git(repository, "switch", "--quiet", "-")
    removed = [version for version in list_versions(str(repository), "table.csv") if not version.hash]
    assert [version.message for version in removed] == ["Remove"]
    assert len(list_versions(str(repository), "table.csv")) == 3


def test_outputs_of_a_dvc_pipeline_have_the_versions_of_its_lock_file(repository: Path, git: Git) -> None:
    for message, md5 in (("First", "a" * 32), ("Same", "a" * 32), ("Second", "b" * 32)):
        out = {"path": "out.csv", "hash": "md5", "md5": md5, "size": 7}
        lock = {"schema": "2.0", "stages": {"make": {"cmd": message, "outs": [out]}}}
        (repository / "dvc.lock").write_text(json.dumps(lock))
        git(repository, "add", "dvc.lock")
        git(repository, "commit", "--quiet", "-m", message)
    versions = list_versions(str(repository), "out.csv")
    assert [(version.message, version.hash) for version in versions] == [
        ("Second", f"md5:{'b' * 32}"),
        ("First", f"md5:{'a' * 32}"),
    ]


def test_names_that_are_patterns_to_git_are_taken_as_they_are(repository: Path) -> None:
    with pytest.raises(SourceError, match="is not tracked"):
        list_versions(str(repository), "*.csv")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tabel.csv", "Did you mean 'table.csv'"),
        ("parts/part-0.csv", "lies in parts, which DVC tracks as one piece"),
        ("../x", "relative to the root folder"),
        ("", "relative to the root folder"),
    ],
)
def test_a_path_without_versions_is_told_what_there_is(repository: Path, path: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        list_versions(str(repository), path)


def test_a_bare_repository_whose_head_names_no_branch_is_read_all_the_same(hub: Path, tmp_path: Path, git: Git) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    push(tmp_path / "t.csv", repository=str(hub), path="t.csv")
    git(hub, "symbolic-ref", "HEAD", "refs/heads/absent")
    assert len(list_versions(str(hub), "t.csv")) == 1
    with pytest.raises(SourceError, match="no commit on its default branch"):
        list_versions(str(hub), "u.csv")


def test_repositories_that_cannot_be_read_are_explained(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a Git repository"):
        list_versions(str(tmp_path), "x")
    with pytest.raises(ServiceError, match="cannot be reached"):
        list_versions("http://127.0.0.1:9/data.git", "x")
    with pytest.raises(SourceError) as refused:
        list_versions("https://me:secret@example.invalid/data.git", "x")
    assert "secret" not in str(refused.value)


def test_a_comparison_tells_rows_columns_and_bytes(hub: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    for text in ("id,age,city\n1,20,x\n", "id,age,plan\n1,20.5,p\n2,30,q\n"):
        file.write_text(text)
        push(file, repository=str(hub), path="t.csv")
    found = compare(str(hub), "t.csv", "t@v1.0.0", "t@v1.1.0")
    assert (found.bytes_a, found.bytes_b, found.same_files) == (19, 28, 0)
    assert found.files == [FileChange(name="t.csv", bytes_a=19, bytes_b=28)]
    assert found.table is not None
    assert (found.table.rows_a, found.table.rows_b) == (1, 2)
    assert found.table.columns == [
        ColumnChange(name="age", type_a="int64", type_b="double"),
        ColumnChange(name="city", type_a="string", type_b=None),
        ColumnChange(name="plan", type_a=None, type_b="string"),
    ]
    assert compare(str(hub), "t.csv", "t@v1.1.0").files == []


def test_a_comparison_of_folders_tells_each_file(hub: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("same.txt", "gone.txt", "deep/other.txt"):
        (folder / name).write_text(name)
    push(folder, repository=str(hub), path="f")
    (folder / "gone.txt").unlink()
    (folder / "new.txt").write_text("1234")
    (folder / "deep" / "other.txt").write_text("12")
    push(folder, repository=str(hub), path="f")
    shutil.rmtree(folder)
    found = compare(str(hub), "f", "f@v1.0.0")
    assert found.files == [
        FileChange(name="deep/other.txt", bytes_a=14, bytes_b=2),
        FileChange(name="gone.txt", bytes_a=8, bytes_b=None),
        FileChange(name="new.txt", bytes_a=None, bytes_b=4),
    ]
    assert found.same_files == 1
    assert found.table is None
    assert "no CSV, JSON lines or Parquet" in found.no_table
