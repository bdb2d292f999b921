"""Pushing data back: versions with tags, whoever else pushes meanwhile, and whatever kills a push."""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.artifacts import MODEL, SPLIT, read_artifact, write_artifact
from ropewalk.data import publish_git
from ropewalk.data import push as pushing
from ropewalk.data.pull import pull
from ropewalk.data.push import push
from ropewalk.errors import ArtifactError, ConfigError, DataError, ServiceError, SourceError, StorageError

Git = Callable[..., str]
SCRIPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from ropewalk.data.push import push
print(json.dumps(asdict(push(Path(sys.argv[1]), repository=sys.argv[2], path=sys.argv[3]))))
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file to push."""
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    return tmp_path / "table.csv"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An artifact to push."""
    with write_artifact(tmp_path / "model", MODEL) as draft:
        (draft.folder / "weights.bin").write_bytes(bytes(range(256)))
        (draft.folder / "deep").mkdir()
        (draft.folder / "deep" / "model.json").write_text("{}")
    return tmp_path / "model"


def _run(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    return subprocess.run(
        ["git", "-C", folder, *author, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def _config(hub: Path, change: Callable[[Path], None]) -> None:
    """Commit what `change` does to a clone of the hub."""
    clone = hub.parent / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    _run(hub.parent, "clone", "--quiet", str(hub), "clone")
    change(clone)
    _run(clone, "add", "--all")
    _run(clone, "commit", "--quiet", "--allow-empty", "-m", "Someone else")
    _run(clone, "push", "--quiet", "origin", "HEAD")


def _tags(hub: Path) -> list[str]:
    return _run(hub, "tag", "--list").splitlines()


def _commits(hub: Path, branch: str = "main") -> int:
    return int(_run(hub, "rev-list", "--count", branch))


def _pulled(hub: Path, path: str, revision: str, output: Path) -> dict[str, bytes]:
    pull(str(hub), path=path, revision=revision, output=output)
    data = output / "data"
    return {file.relative_to(data).as_posix(): file.read_bytes() for file in data.rglob("*") if file.is_file()}


def test_a_file_becomes_a_commit_with_a_tag_that_can_be_pulled(hub: Path, table: Path, tmp_path: Path) -> None:
    pushed = push(table, repository=str(hub), path="data/customers.csv")
    assert pushed.tag == "data/customers@v1.0.0"
    assert pushed.changed
    assert (pushed.files, pushed.bytes) == (1, 8)
    assert pushed.commit == _run(hub, "rev-parse", "main") == _run(hub, "rev-parse", f"{pushed.tag}^{{commit}}")
    assert _run(hub, "cat-file", "-t", pushed.tag) == "tag"
    assert sorted(_run(hub, "ls-tree", "-r", "--name-only", "main", "data").splitlines()) == [
        "data/.gitignore",
        "data/customers.csv.dvc",
    ]
    assert _pulled(hub, "data/customers.csv", pushed.tag, tmp_path / "out") == {"customers.csv": b"a,b\n1,2\n"}
    assert read_artifact(tmp_path / "out", "raw-data").facts["hash"] == pushed.hash


def test_an_artifact_finds_its_own_path_and_comes_back_whole(hub: Path, model: Path, tmp_path: Path) -> None:
    pushed = push(model, repository=str(hub), name="Fraud Detector")
    assert (pushed.path, pushed.tag) == ("ropewalk/fraud-detector/model", "fraud-detector/model@v1.0.0")
    pull(str(hub), path=pushed.path, revision=pushed.tag, output=tmp_path / "out")
    assert read_artifact(tmp_path / "out" / "data", MODEL).digest == read_artifact(model, MODEL).digest
    with write_artifact(tmp_path / "split", SPLIT) as draft:
        (draft.folder / "part").write_text("x")
        draft.facts["split"] = "test"
    assert push(tmp_path / "split", repository=str(hub), name="m").path == "ropewalk/m/test"


def test_the_same_bytes_change_nothing(hub: Path, model: Path) -> None:
    first = push(model, repository=str(hub), path="m")
    before = (_tags(hub), _commits(hub))
    again = push(model, repository=str(hub), path="m")
    assert not again.changed
    assert (again.commit, again.hash, again.tag) == (first.commit, first.hash, first.tag)
    assert (_tags(hub), _commits(hub)) == before


def test_each_change_is_the_next_minor_version_and_old_ones_stay(hub: Path, table: Path, tmp_path: Path) -> None:
    tags = []
    for number in range(3):
        table.write_text(f"a\n{number}\n")
        tags.append(push(table, repository=str(hub), path="t.csv").tag)
    assert tags == ["t@v1.0.0", "t@v1.1.0", "t@v1.2.0"]
    assert _pulled(hub, "t.csv", "t@v1.1.0", tmp_path / "out") == {"t.csv": b"a\n1\n"}
    table.write_text("a\n0\n")
    assert push(table, repository=str(hub), path="t.csv").tag == "t@v1.3.0"


def test_version_10_follows_version_9(hub: Path, table: Path) -> None:
    push(table, repository=str(hub), path="t.csv", version="1.9.0")
    table.write_text("a\n0\n")
    assert push(table, repository=str(hub), path="t.csv").tag == "t@v1.10.0"


def test_a_version_can_be_chosen_and_never_changes(hub: Path, table: Path) -> None:
    first = push(table, repository=str(hub), path="t.csv", name="customers", version="v2.0.1", message="Fresh data")
    assert first.tag == "customers@v2.0.1"
    assert _run(hub, "log", "-1", "--format=%s").startswith("Fresh data")
    assert not push(table, repository=str(hub), path="t.csv", name="customers", version="2.0.1").changed
    assert push(table, repository=str(hub), path="t.csv", name="customers", version="2.1.0").commit == first.commit
    table.write_text("a\nother\n")
    with pytest.raises(ConfigError, match=r"customers@v2\.0\.1 exists and has other bytes"):
        push(table, repository=str(hub), path="t.csv", name="customers", version="2.0.1")
    assert push(table, repository=str(hub), path="t.csv", name="customers").tag == "customers@v2.2.0"


def test_the_author_comes_from_the_environment(hub: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    push(table, repository=str(hub), path="a.csv")
    assert _run(hub, "log", "-1", "--format=%an <%ae>") == "Ropewalk <ropewalk@localhost>"
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ada@example.invalid")
    push(table, repository=str(hub), path="b.csv")
    assert _run(hub, "log", "-1", "--format=%an <%ae>") == "Ada <ada@example.invalid>"


def test_a_new_branch_starts_at_the_default_one(hub: Path, table: Path) -> None:
    pushed = push(table, repository=str(hub), path="t.csv", branch="fresh")
    assert _run(hub, "rev-parse", "fresh") == pushed.commit
    assert _run(hub, "rev-parse", "fresh^") == _run(hub, "rev-parse", "main")
    assert _commits(hub) == 1


def test_hooks_of_the_caller_do_not_run(
    hub: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[core]\n\thooksPath = {hook.parent}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    assert push(table, repository=str(hub), path="t.csv").changed


def test_someone_who_pushed_in_between_loses_nothing(
    hub: Path, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = publish_git.commit
    others = iter(["one.txt", "two.txt"])

    def overtaken(*arguments: object) -> bool:
        name = next(others, None)
        if name:
            _config(hub, lambda clone: (clone / name).write_text("mine"))
        return commit(*arguments)

    monkeypatch.setattr(publish_git, "commit", overtaken)
    monkeypatch.setattr(pushing, "_WAIT_SECONDS", 0)
    push(table, repository=str(hub), path="t.csv")
    assert "once more" in capsys.readouterr().out
    names = _run(hub, "ls-tree", "--name-only", "main").splitlines()
    assert {"one.txt", "two.txt", "t.csv.dvc"} <= set(names)
    assert _commits(hub) == 4


def test_a_branch_that_never_rests_ends_in_an_error_that_asks_to_try_again(
    hub: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_git, "push_with_tag", lambda *_: False)
    monkeypatch.setattr(pushing, "_WAIT_SECONDS", 0)
    with pytest.raises(ServiceError, match="during each of 6 attempts"):
        push(table, repository=str(hub), path="t.csv")


def test_pushes_at_once_from_several_processes_all_land(hub: Path, tmp_path: Path) -> None:
    paths = ["same", "same", "other", "third"]
    processes = []
    for number, path in enumerate(paths):
        (tmp_path / f"{number}.csv").write_text(f"a\n{number}\n")
        processes.append(_start(tmp_path / f"{number}.csv", hub, path))
    tags = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        tags.append(json.loads(out.splitlines()[-1])["tag"])
    assert sorted(tags) == sorted(_tags(hub)) == ["other@v1.0.0", "same@v1.0.0", "same@v1.1.0", "third@v1.0.0"]
    assert _commits(hub) == 5
    ignored = _run(hub, "show", "main:.gitignore").split()
    assert sorted(ignored) == ["/other", "/same", "/third"]


def test_killed_at_any_moment_and_run_again_it_ends_in_the_right_state(hub: Path, model: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    process = _start(model, hub, "warm-up")
    process.communicate()
    whole = time.monotonic() - started
    chance = random.Random(3)
    for number in range(20):
        (model / "extra.txt").write_text(str(number))
        (model / "manifest.json").unlink(missing_ok=True)
        process = _start(model, hub, "m")
        time.sleep(chance.uniform(0.3, 1.0) * whole)
        process.kill()
        process.communicate()
    last = push(model, repository=str(hub), path="m")
    tags = [tag for tag in _tags(hub) if tag.startswith("m@")]
    assert last.tag in tags
    assert last.commit == _run(hub, "rev-parse", "main")
    assert len(tags) == _commits(hub) - 2
    for tag in tags:
        content = _pulled(hub, "m", tag, tmp_path / "out")
        assert content["weights.bin"] == bytes(range(256))
        assert content["extra.txt"].isdigit()
    assert not push(model, repository=str(hub), path="m").changed
    _run(hub, "fsck", "--strict")


def test_a_server_without_atomic_pushes_gets_the_branch_first(hub: Path, table: Path, monkeypatch) -> None:
    _run(hub, "config", "receive.advertiseAtomic", "false")
    pushed = push(table, repository=str(hub), path="t.csv")
    assert _run(hub, "rev-parse", "main") == _run(hub, "rev-parse", "t@v1.0.0^{commit}") == pushed.commit
    _run(hub, "tag", "-d", "t@v1.0.0")
    again = push(table, repository=str(hub), path="t.csv")
    assert (again.commit, again.tag, again.changed) == (pushed.commit, pushed.tag, True)


def test_bytes_that_the_remote_lost_come_back_with_the_next_push(hub: Path, table: Path, tmp_path: Path) -> None:
    push(table, repository=str(hub), path="t.csv")
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").mkdir()
    assert not push(table, repository=str(hub), path="t.csv").changed
    assert _pulled(hub, "t.csv", "main", tmp_path / "out")


def test_a_repository_named_by_url_takes_a_push_too(hub: Path, table: Path) -> None:
    assert push(table, repository=f"file://{hub}", path="t.csv").changed


def test_a_working_copy_takes_a_push_to_a_branch_that_is_not_checked_out(
    hub: Path, table: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    (work / ".dvc" / "config").write_text("[core]\n    remote = s\n['remote \"s\"']\n    url = ../../store\n")
    _run(work, "commit", "--quiet", "--all", "-m", "Relative")
    with pytest.raises(SourceError, match=r"checked out.*bare repository"):
        push(table, repository=str(work), path="t.csv")
    push(table, repository=str(work), path="t.csv", branch="side")
    assert _pulled(work, "t.csv", "side", tmp_path / "out")


def test_a_relative_remote_of_a_bare_repository_is_refused_before_bytes_are_lost(hub: Path, table: Path) -> None:
    config = "[core]\n    remote = s\n['remote \"s\"']\n    url = ../../lost\n"
    _config(hub, lambda clone: (clone / ".dvc" / "config").write_text(config))
    with pytest.raises(SourceError, match="absolute path or a URL"):
        push(table, repository=str(hub), path="t.csv")


def test_a_remote_folder_that_is_not_here_is_not_made(hub: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "store").rmdir()
    with pytest.raises(SourceError, match="which this machine does not have"):
        push(table, repository=str(hub), path="t.csv")
    assert not (tmp_path / "store").exists()


def test_a_remote_that_cannot_be_written_leaves_no_commit(hub: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "store" / "files").write_text("in the way")
    with pytest.raises(SourceError, match="cannot be written"):
        push(table, repository=str(hub), path="t.csv")
    assert (_commits(hub), _tags(hub)) == (1, [])


def test_a_repository_without_dvc_is_told_how_to_get_it(table: Path, tmp_path: Path) -> None:
    _run(tmp_path, "init", "--quiet", "--initial-branch=main", "plain")
    with pytest.raises(SourceError, match=r"has no commits yet.*dvc init"):
        push(table, repository=str(tmp_path / "plain"), path="t.csv")
    _run(tmp_path / "plain", "commit", "--quiet", "--allow-empty", "-m", "Start")
    with pytest.raises(SourceError, match="`dvc init` and `dvc remote add --default NAME URL`"):
        push(table, repository=str(tmp_path / "plain"), path="t.csv")


def test_a_repository_without_remote_is_told_how_to_get_one(hub: Path, table: Path) -> None:
    _config(hub, lambda clone: (clone / ".dvc" / "config").write_text(""))
    with pytest.raises(SourceError, match="dvc remote add --default NAME URL"):
        push(table, repository=str(hub), path="t.csv")


@pytest.mark.parametrize("path", ["../t.csv", "/t.csv", "a/../../b", ".git/config", "x/.dvc/config", "t.csv.dvc", "."])
def test_a_path_outside_or_of_git_or_dvc_is_refused(hub: Path, table: Path, path: str) -> None:
    with pytest.raises(ConfigError, match="cannot be tracked"):
        push(table, repository=str(hub), path=path)


def test_a_path_that_git_or_dvc_tracks_otherwise_is_refused(hub: Path, table: Path, model: Path) -> None:
    push(model, repository=str(hub), path="data/model")
    for path, reason in [
        ("README.md", "a file that Git tracks"),
        ("README.md/x", "a file that Git tracks"),
        ("data", r"files that Git tracks, such as data/\.gitignore"),
        ("data/model/x.csv", "lies in data/model, which DVC tracks as one piece"),
    ]:
        with pytest.raises(SourceError, match=reason):
            push(table, repository=str(hub), path=path)
    assert _tags(hub) == ["data/model@v1.0.0"]


def test_files_that_dvcignore_would_leave_out_are_refused(hub: Path, model: Path) -> None:
    _config(hub, lambda clone: (clone / ".dvcignore").write_text("*.json\n"))
    with pytest.raises(DataError, match=r"1 of the 3 files.*\.dvcignore"):
        push(model, repository=str(hub), path="m")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"version": "1.0"}, "three numbers"),
        ({"name": "@@"}, "no letter"),
        ({"path": ""}, "No path is named"),
        ({"repository": ""}, "No repository is named"),
    ],
)
def test_wrong_settings_are_refused(hub: Path, table: Path, arguments: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        push(table, **{"repository": str(hub), "path": "t.csv", **arguments})


def test_a_url_with_credentials_is_refused_without_repeating_them(table: Path) -> None:
    with pytest.raises(SourceError) as refused:
        push(table, repository="https://me:secret@example.invalid/data.git", path="t.csv")
    assert "secret" not in str(refused.value)


def test_a_server_that_is_down_is_a_service_error(table: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be reached"):
        push(table, repository="http://127.0.0.1:9/data.git", path="t.csv")


def test_what_a_server_declines_is_told(hub: Path, table: Path) -> None:
    hook = hub / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho main is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(SourceError, match="main is protected"):
        push(table, repository=str(hub), path="t.csv")
    assert _tags(hub) == []


def test_an_artifact_with_changed_bytes_is_refused(hub: Path, model: Path) -> None:
    (model / "weights.bin").write_bytes(b"0")
    with pytest.raises(ArtifactError, match="has changed"):
        push(model, repository=str(hub), path="m")


def test_a_full_disk_is_told_and_leaves_no_commit(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(bytes(3 * 2**20))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(StorageError, match="Free some space"):
            push(tmp_path / "big.bin", repository=str(hub), path="big.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _tags(hub) == []


def _start(source: Path, hub: Path, path: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-c", SCRIPT, str(source), str(hub), path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(hub.parent)},
    )
