"""Pushing to DVC remotes behind a network: real servers on this machine, with and without the right credentials."""

import getpass
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.data.pull import pull
from ropewalk.data.push import push
from ropewalk.errors import RopewalkError

CONTENT = b"a,b\n1,2\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file to push."""
    (tmp_path / "table.csv").write_bytes(CONTENT)
    return tmp_path / "table.csv"


@pytest.fixture
def use_remote(hub: Path, tmp_path: Path, git: Callable[..., str]) -> Callable[..., None]:
    """Return a function that makes a URL the hub's default remote."""

    def use(url: str, *settings: str) -> None:
        lines = ["[core]", "    remote = far", "['remote \"far\"']", f"    url = {url}"]
        lines += [f"    {line}" for line in settings]
        git(tmp_path, "clone", "--quiet", str(hub), "clone")
        (tmp_path / "clone" / ".dvc" / "config").write_text("\n".join(lines) + "\n")
        git(tmp_path / "clone", "commit", "-aqm", "far")
        git(tmp_path / "clone", "push", "--quiet", "origin", "HEAD")

    return use


def test_what_is_pushed_to_s3_comes_back_and_wrong_keys_commit_nothing(
    s3_with_users: tuple[str, dict[str, str]],
    hub: Path,
    table: Path,
    tmp_path: Path,
    use_remote: Callable[..., None],
    git: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, keys = s3_with_users
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    use_remote(f"s3://guarded/{tmp_path.name}", f"endpointurl = {address}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(RopewalkError, match="remote") as caught:
        push(table, repository=str(hub), path="t.csv")
    assert "AWS_ACCESS_KEY_ID" in str(caught.value)
    assert "not-the-secret" not in str(caught.value)
    assert git(hub, "tag") == ""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["AWS_SECRET_ACCESS_KEY"])
    pushed = push(table, repository=str(hub), path="t.csv")
    pull(str(hub), path="t.csv", revision=pushed.tag, output=tmp_path / "out")
    assert (tmp_path / "out" / "data" / "t.csv").read_bytes() == CONTENT
    assert not push(table, repository=str(hub), path="t.csv").changed


def test_what_is_pushed_over_ssh_comes_back_and_a_wrong_key_commits_nothing(
    ssh: tuple[int, Path],
    hub: Path,
    table: Path,
    tmp_path: Path,
    use_remote: Callable[..., None],
    git: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, folder = ssh
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    use_remote(f"ssh://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/store")
    monkeypatch.setenv("ROPEWALK_SSH_KEY", str(folder / "wrong"))
    with pytest.raises(RopewalkError, match="ROPEWALK_SSH_KEY"):
        push(table, repository=str(hub), path="t.csv")
    assert git(hub, "tag") == ""
    monkeypatch.setenv("ROPEWALK_SSH_KEY", str(folder / "right"))
    pushed = push(table, repository=str(hub), path="t.csv")
    shutil.rmtree(tmp_path / "clone")
    pull(str(hub), path="t.csv", revision=pushed.tag, output=tmp_path / "out")
    assert (tmp_path / "out" / "data" / "t.csv").read_bytes() == CONTENT
