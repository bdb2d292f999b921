"""Pulling from Git and DVC: real repositories, real damage, and a way out of each mistake."""

import hashlib
import os
import re
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.artifacts import RAW_DATA, read_artifact
from ropewalk.data.pull import pull
from ropewalk.data.tables import read_table
from ropewalk.errors import DataError, ServiceError, SourceError

Git = Callable[..., str]
VERSION_1 = b"a,b\n1,0\n"
VERSION_2 = b"a,b\n2,0\n2,0\n"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def content(output: Path) -> dict[str, bytes]:
    files = [file for file in (output / "data").rglob("*") if file.is_file()]
    return {file.relative_to(output / "data").as_posix(): file.read_bytes() for file in files}


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def in_remote(repository: Path, name: str) -> Path:
    file = repository.parent / "remote" / "files" / "md5" / name[:2] / name[2:]
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return file


def test_a_dvc_file_comes_from_the_head_with_its_lineage(repository: Path, output: Path, git: Git) -> None:
    manifest = pull(str(repository), path="./table.csv", output=output)
    assert content(output) == {"table.csv": VERSION_2}
    assert manifest.facts == {
        "source": str(repository),
        "repository": str(repository),
        "commit": git(repository, "rev-parse", "HEAD"),
        "path": "table.csv",
        "revision": "",
        "hash": f"md5:{md5(VERSION_2)}",
        "files": 1,
        "bytes": len(VERSION_2),
    }
    assert read_artifact(output, RAW_DATA) == manifest


@pytest.mark.parametrize("kind", ["tag", "annotated tag", "branch", "commit", "short commit"])
def test_an_earlier_version_comes_by_each_name_of_its_commit(
    repository: Path, output: Path, git: Git, kind: str
) -> None:
    commit = git(repository, "rev-parse", "v1")
    git(repository, "branch", "feature/old", "v1")
    git(repository, "tag", "-a", "annotated", "-m", "a tag object", "v1")
    names = {"tag": "v1", "annotated tag": "annotated", "branch": "feature/old", "commit": commit}
    manifest = pull(str(repository), path="table.csv", revision=names.get(kind, commit[:8]), output=output)
    assert content(output) == {"table.csv": VERSION_1}
    assert manifest.facts["commit"] == commit


def test_a_commit_that_no_branch_names_is_found_as_long_as_git_has_it(repository: Path, output: Path, git: Git) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "reset", "--quiet", "--hard", "v1")
    git(repository, "tag", "-d", "v2")
    pull(str(repository), path="table.csv", revision=commit, output=output)
    assert content(output) == {"table.csv": VERSION_2}


def test_what_is_not_committed_is_not_pulled(repository: Path, output: Path) -> None:
    (repository / "plain.csv").write_text("a,b\n9,9\n")
    pull(str(repository), path="plain.csv", output=output)
    assert content(output) == {"plain.csv": b"a,b\n1,2\n"}


def test_a_url_works_like_a_folder_when_the_remote_is_absolute(repository: Path, output: Path, git: Git) -> None:
    config = repository / ".dvc" / "config"
    config.write_text(config.read_text().replace("../../remote", str(repository.parent / "remote")))
    git(repository, "commit", "--quiet", "-a", "-m", "absolute remote")
    manifest = pull(f"file://{repository}", path="table.csv", output=output)
    assert content(output) == {"table.csv": VERSION_2}
    assert manifest.facts["repository"] == f"file://{repository}"


def test_a_bare_repository_serves_files_that_git_tracks(
    repository: Path, tmp_path: Path, output: Path, git: Git
) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    manifest = pull(str(tmp_path / "bare.git"), path="plain.csv", output=output)
    table = b"a,b\n1,2\n"
    assert content(output) == {"plain.csv": table}
    assert manifest.facts["hash"] == f"sha256:{hashlib.sha256(table).hexdigest()}"


def test_a_dvc_folder_comes_whole_and_a_part_of_it_alone(repository: Path, output: Path) -> None:
    whole = pull(str(repository), path="parts", output=output)
    assert sorted(content(output)) == ["deep/part-3.csv", "part-0.csv", "part-1.csv", "part-2.csv"]
    assert whole.facts["hash"].startswith("md5:")
    assert whole.facts["hash"].endswith(".dir")
    assert read_table(output)["a"].to_pylist() == [3, 0, 1, 2]
    pull(str(repository), path="parts/deep/", output=output)
    assert content(output) == {"part-3.csv": b"a,b\n3,1\n"}
    pull(str(repository), path="parts/part-1.csv", output=output)
    assert content(output) == {"part-1.csv": b"a,b\n1,1\n"}


def test_a_dvc_repository_below_the_root_is_found(repository: Path, output: Path, git: Git) -> None:
    outer = repository.parent / "outer"
    shutil.copytree(repository, outer / "project", ignore=shutil.ignore_patterns(".git"))
    shutil.copytree(repository.parent / "remote", outer / "remote")
    config = outer / "project" / ".dvc" / "config"
    config.write_text(config.read_text().replace("../../remote", "../../remote"))
    git(outer, "init", "--quiet")
    git(outer, "add", "--all")
    git(outer, "commit", "--quiet", "-m", "all")
    pull(str(outer), path="project/table.csv", output=output)
    assert content(output) == {"table.csv": VERSION_2}


def test_without_a_remote_the_cache_of_a_folder_on_this_machine_serves(
    repository: Path, output: Path, git: Git
) -> None:
    (repository / ".dvc" / "config").write_text("")
    git(repository, "commit", "--quiet", "-a", "-m", "no remote")
    pull(str(repository), path="table.csv", output=output)
    assert content(output) == {"table.csv": VERSION_2}


def test_the_pulled_file_is_a_copy_of_its_own(repository: Path, output: Path, git: Git) -> None:
    with (repository / ".dvc" / "config").open("a") as config:
        config.write("[cache]\n    type = symlink,hardlink\n")
    git(repository, "commit", "--quiet", "-a", "-m", "links")
    pull(str(repository), path="table.csv", output=output)
    file = output / "data" / "table.csv"
    assert not file.is_symlink()
    assert file.stat().st_nlink == 1


def test_the_table_behind_a_plain_path_comes_at_a_revision_of_its_repository(repository: Path, output: Path) -> None:
    manifest = pull(str(repository / "table.csv"), revision="v1", output=output)
    assert content(output) == {"table.csv": VERSION_1}
    assert manifest.facts["repository"] == str(repository)


# Damage


@pytest.mark.parametrize("path", ["table.csv", "parts", "parts/part-0.csv"])
def test_flipped_bytes_in_the_remote_are_refused_with_both_hashes(repository: Path, output: Path, path: str) -> None:
    good = VERSION_2 if path == "table.csv" else b"a,b\n0,1\n"
    bad = good.replace(b"a", b"c")
    in_remote(repository, md5(good)).write_bytes(bad)
    name = "table.csv" if path == "table.csv" else "parts/part-0.csv"
    with pytest.raises(DataError, match=rf"other bytes for {name}.*MD5 is {md5(bad)}.*says {md5(good)}.*Push it again"):
        pull(str(repository), path=path, output=output)
    assert not output.exists()


def test_an_altered_list_of_a_folders_files_is_refused(repository: Path, output: Path) -> None:
    listing = next(file for file in (repository.parent / "remote").rglob("*.dir"))
    listing.chmod(stat.S_IRUSR | stat.S_IWUSR)
    listing.write_text(listing.read_text().replace(md5(b"a,b\n0,1\n"), md5(b"a,b\n1,1\n")))
    with pytest.raises(DataError, match=r"other bytes for the list of files of parts than were recorded"):
        pull(str(repository), path="parts", output=output)


@pytest.mark.parametrize("path", ["table.csv", "parts", "parts/part-0.csv"])
def test_bytes_that_were_never_pushed_are_asked_for(repository: Path, output: Path, path: str) -> None:
    shutil.rmtree(repository.parent / "remote")
    (repository.parent / "remote").mkdir()
    with pytest.raises(SourceError, match=rf"DVC tracks {path}, but its remote 'beside' does not have.*`dvc push`"):
        pull(str(repository), path=path, output=output)


def test_a_remote_on_another_machine_is_named(repository: Path, output: Path) -> None:
    with pytest.raises(SourceError, match=r"its remote 'beside' is the folder /.*/remote, which this machine does not"):
        pull(f"file://{repository}", path="table.csv", output=output)


def test_a_repository_without_any_remote_says_so(repository: Path, output: Path, git: Git) -> None:
    (repository / ".dvc" / "config").write_text("")
    git(repository, "commit", "--quiet", "-a", "-m", "no remote")
    with pytest.raises(SourceError, match=r"has no default remote\. Set one with `dvc remote add --default`"):
        pull(f"file://{repository}", path="table.csv", output=output)


def test_a_remote_that_needs_another_package_says_which(repository: Path, output: Path, git: Git) -> None:
    (repository / ".dvc" / "config").write_text("[core]\n  remote = s\n['remote \"s\"']\n  url = gs://bucket/path\n")
    git(repository, "commit", "--quiet", "-a", "-m", "gs")
    with pytest.raises(SourceError, match=r"remote of table\.csv cannot be read here: gs .* requires 'dvc-gs'"):
        pull(str(repository), path="table.csv", output=output)


def test_a_broken_dvc_file_is_named(repository: Path, output: Path, git: Git) -> None:
    (repository / "table.csv.dvc").write_text("outs: [")
    git(repository, "commit", "--quiet", "-a", "-m", "broken")
    with pytest.raises(SourceError, match=r"table\.csv\.dvc"):
        pull(str(repository), path="table.csv", output=output)


# Mistakes


@pytest.mark.parametrize(
    ("path", "revision", "message"),
    [
        ("", "", r"is a Git repository: name a file or folder in it as the path\. It has plain\.csv, table\.csv"),
        (
            "tabel.csv",
            "",
            r"tabel\.csv is not tracked in .*Did you mean 'table\.csv'\? It has parts, plain\.csv, table",
        ),
        ("table.csv.dvc", "", r"table\.csv\.dvc is not tracked in .*Did you mean 'table\.csv'"),
        ("parts/part-9.csv", "", r"parts/part-9\.csv is not tracked.*Did you mean 'parts/part-\d\.csv'"),
        (
            "table.csv",
            "v2.0",
            r"has no branch, tag or commit 'v2.0'\. Did you mean 'v2'\? Branches and tags: main, v1, v2\.",
        ),
        ("table.csv", "abcdef0", r"has no branch, tag or commit 'abcdef0'\. Branches and tags: main, v1, v2"),
        ("table.csv", "0" * 40, r"has no branch, tag or commit '0000"),
        ("table.csv", "--upload-pack=touch /tmp/x", r"has no branch, tag or commit '--upload-pack"),
        ("../remote", "", r"The path '\.\./remote' leads out of the repository"),
        ("/etc/passwd", "", r"The path '/etc/passwd' leads out of the repository"),
    ],
)
def test_a_wrong_path_or_revision_is_answered_with_the_nearest(
    repository: Path, output: Path, path: str, revision: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        pull(str(repository), path=path, revision=revision, output=output)
    assert not output.exists()


def test_a_repository_without_commits_says_so(tmp_path: Path, output: Path, git: Git) -> None:
    git(tmp_path, "init", "--quiet", "empty")
    with pytest.raises(SourceError, match=r"empty has no commits yet"):
        pull(str(tmp_path / "empty"), path="table.csv", output=output)


def test_a_folder_that_is_no_repository_any_more_says_so(repository: Path, output: Path) -> None:
    shutil.rmtree(repository / ".git" / "objects")
    with pytest.raises(SourceError, match=r"cannot be read as a Git repository: .*Check the address"):
        pull(str(repository), path="table.csv", output=output)


def test_an_unknown_url_says_so(tmp_path: Path, output: Path) -> None:
    with pytest.raises(SourceError, match=r"nothing cannot be read as a Git repository"):
        pull(f"file://{tmp_path}/nothing", path="t.csv", output=output)


def test_a_server_that_is_down_is_an_error_worth_trying_again(output: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServiceError, match=r"cannot be reached.*try again"):
        pull(f"http://127.0.0.1:{port}/x.git", path="t.csv", output=output)


@pytest.mark.parametrize("url", ["https://me:hunter2@example.invalid/r.git", "https://hunter2@example.invalid/r.git"])
def test_a_password_in_a_url_is_refused_and_never_repeated(output: Path, url: str) -> None:
    with pytest.raises(SourceError, match=r"https://example\.invalid/r\.git holds a user name, password") as caught:
        pull(url, path="t.csv", output=output)
    assert "hunter2" not in str(caught.value)
    assert not output.exists()


# A hostile repository


def test_no_hook_runs(repository: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction"):
        hook = template / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template))
    pull(str(repository), path="table.csv", output=output)
    assert not (tmp_path / "ran").exists()


def test_a_program_as_transport_is_not_run(tmp_path: Path, output: Path) -> None:
    with pytest.raises(SourceError, match=r"ext::|not allowed|There is no file or folder"):
        pull(f"ext::sh -c 'touch {tmp_path}/ran'", path="t.csv", output=output)
    with pytest.raises(SourceError, match=r"cannot be read as a Git repository"):
        pull(f"ext::sh -c 'touch {tmp_path}/ran' ://", path="t.csv", output=output)
    assert not (tmp_path / "ran").exists()


def test_a_link_in_the_repository_is_refused(repository: Path, output: Path, git: Git) -> None:
    (repository / "passwords.csv").symlink_to("/etc/passwd")
    git(repository, "add", "passwords.csv")
    git(repository, "commit", "--quiet", "-m", "a link")
    with pytest.raises(SourceError, match=r"passwords\.csv is a symbolic link"):
        pull(str(repository), path="passwords.csv", output=output)


@pytest.mark.parametrize("name", ["../../../evil.csv", "{outside}/evil.csv"])
def test_a_list_of_files_that_leads_out_of_its_folder_is_refused(
    repository: Path, output: Path, tmp_path: Path, git: Git, name: str
) -> None:
    name = name.format(outside=tmp_path)
    listing = f'[{{"md5": "{md5(VERSION_1)}", "relpath": "{name}"}}]'.encode()
    record = repository / "parts.dvc"
    old = re.search(r"\w{32}\.dir", record.read_text())
    assert old
    record.write_text(record.read_text().replace(old.group(), f"{md5(listing)}.dir"))
    store = repository.parent / "remote" / "files" / "md5" / md5(listing)[:2]
    store.mkdir(exist_ok=True)
    (store / f"{md5(listing)[2:]}.dir").write_bytes(listing)
    git(repository, "commit", "--quiet", "-a", "-m", "hostile")
    before = {file for file in tmp_path.rglob("*") if file.name == "evil.csv"}
    with pytest.raises(DataError, match=r"leads out of"):
        pull(str(repository), path="parts", output=output)
    assert {file for file in tmp_path.rglob("*") if file.name == "evil.csv"} == before == set()


def test_a_git_lfs_pointer_is_not_taken_for_data(repository: Path, output: Path, git: Git) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
    (repository / "large.csv").write_text(pointer)
    git(repository, "add", "large.csv")
    git(repository, "commit", "--quiet", "-m", "pointer")
    with pytest.raises(SourceError, match=r"large\.csv is kept in Git LFS"):
        pull(str(repository), path="large.csv", output=output)


def test_the_callers_own_git_variables_do_not_lead_astray(
    repository: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_WORK_TREE", "/nonexistent")
    pull(str(repository), path="table.csv", output=output)
    assert content(output) == {"table.csv": VERSION_2}


def test_nothing_is_left_behind_or_written_to_the_source(
    repository: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = sorted(os.walk(repository))
    pull(str(repository), path="parts", output=output)
    assert sorted(os.walk(repository)) == before
    assert list(scratch.iterdir()) == []
    assert sorted(file.name for file in output.iterdir()) == ["data", "manifest.json"]
