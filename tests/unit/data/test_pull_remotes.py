"""Pulling from DVC remotes behind a network: real servers on this machine, with and without the right credentials."""

import getpass
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from ropewalk.data.pull import pull
from ropewalk.errors import DataError, ServiceError, SourceError

VERSION_2 = b"a,b\n2,0\n2,0\n"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_DEFAULT_REGION": "us-east-1"}


def use_remote(repository: Path, url: str, *settings: str) -> None:
    """Commit `url` as the default remote; the cache goes, so that nothing but the remote has the bytes."""
    lines = [
        "[core]",
        "    remote = far",
        "['remote \"far\"']",
        f"    url = {url}",
        *(f"    {line}" for line in settings),
    ]
    (repository / ".dvc" / "config").write_text("\n".join(lines) + "\n")
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", "-C", repository, *author, "commit", "-aqm", "far"], check=True)
    shutil.rmtree(repository / ".dvc" / "cache")


def pulled(output: Path) -> dict[str, bytes]:
    files = [file for file in (output / "data").rglob("*") if file.is_file()]
    return {file.relative_to(output / "data").as_posix(): file.read_bytes() for file in files}


PARTS = {f"part-{number}.csv": f"a,b\n{number},1\n".encode() for number in range(3)} | {
    "deep/part-3.csv": b"a,b\n3,1\n"
}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


# S3


@pytest.fixture
def s3_repository(s3: str, repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    bucket = "b" + str(abs(hash(str(tmp_path))))
    client = boto3.client("s3", endpoint_url=s3)
    client.create_bucket(Bucket=bucket)
    remote = repository.parent / "remote"
    for file in remote.rglob("*"):
        if file.is_file():
            client.put_object(Bucket=bucket, Key=f"dvc/{file.relative_to(remote).as_posix()}", Body=file.read_bytes())
    use_remote(repository, f"s3://{bucket}/dvc", f"endpointurl = {s3}")
    shutil.rmtree(remote)
    return repository


def test_s3_gives_a_file_and_a_folder(s3_repository: Path, output: Path) -> None:
    pull(str(s3_repository), path="table.csv", output=output)
    assert pulled(output) == {"table.csv": VERSION_2}
    pull(str(s3_repository), path="parts", output=output)
    assert pulled(output) == PARTS


def test_missing_s3_credentials_are_asked_for_by_name(
    s3_repository: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SourceError, match=r"no access to the DVC remote 'far'.*Set AWS_ACCESS_KEY_ID and AWS_SECRET"):
        pull(str(s3_repository), path="table.csv", output=output)


def test_wrong_s3_keys_are_refused_and_never_repeated(
    s3_with_users: tuple[str, dict[str, str]], repository: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, keys = s3_with_users
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    # The default session keeps the keys that it met first.
    client = boto3.Session().client("s3", endpoint_url=address)
    remote = repository.parent / "remote"
    for file in remote.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "guarded", f"dvc/{file.relative_to(remote).as_posix()}")
    use_remote(repository, "s3://guarded/dvc", f"endpointurl = {address}")
    shutil.rmtree(remote)
    pull(str(repository), path="table.csv", output=output)
    assert pulled(output) == {"table.csv": VERSION_2}
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(SourceError, match=r"no access to the DVC remote 'far'.*Set AWS_ACCESS_KEY_ID") as caught:
        pull(str(repository), path="parts", output=output.with_name("other"))
    assert "not-the-secret" not in str(caught.value)


def test_an_s3_bucket_without_the_object_says_what_to_do(
    s3: str, s3_repository: Path, output: Path, tmp_path: Path
) -> None:
    config = (s3_repository / ".dvc" / "config").read_text()
    bucket = config.split("s3://")[1].split("/")[0]
    client = boto3.client("s3", endpoint_url=s3)
    for entry in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.delete_object(Bucket=bucket, Key=entry["Key"])
    with pytest.raises(SourceError, match=r"DVC tracks table\.csv, but its remote 'far' does not have.*dvc push"):
        pull(str(s3_repository), path="table.csv", output=output)


# HTTP


class Http(SimpleHTTPRequestHandler):
    """Serves a folder; counts what it serves, and closes the connection once `serve` files were served."""

    served: list[str]
    serve: list[int]
    status: list[int]

    def do_GET(self) -> None:
        if self.status[0] != 200:
            self.send_error(self.status[0])
            return
        if self.serve[0] == 0:
            # Half of an answer, then nothing: what a cut connection looks like.
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.serve[0] -= 1
        self.served.append(self.path)
        super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def http(repository: Path) -> Iterator[type[Http]]:
    handler = type("Handler", (Http,), {"served": [], "serve": [-1], "status": [200]})
    remote = repository.parent / "remote"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(remote)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    use_remote(repository, f"http://127.0.0.1:{server.server_port}")
    yield handler
    server.shutdown()
    server.server_close()


def test_http_gives_a_file_and_a_folder(repository: Path, http: type[Http], output: Path) -> None:
    pull(str(repository), path="table.csv", output=output)
    assert pulled(output) == {"table.csv": VERSION_2}
    pull(str(repository), path="parts", output=output)
    assert pulled(output) == PARTS


def test_a_cut_connection_goes_on_without_what_is_there(repository: Path, http: type[Http], output: Path) -> None:
    http.serve[0] = 3
    with pytest.raises(ServiceError, match=r"remote 'far' broke off.*run again: files that are already here are not"):
        pull(str(repository), path="parts", output=output)
    assert not output.exists()
    before = list(http.served)
    assert len(before) == 3
    http.serve[0] = -1
    pull(str(repository), path="parts", output=output)
    assert pulled(output) == PARTS
    assert len(http.served) == len(set(http.served)) == 5
    assert not output.with_name("output.fetched").exists()


def test_flipped_bytes_behind_http_are_refused_and_not_kept(repository: Path, http: type[Http], output: Path) -> None:
    store = repository.parent / "remote" / "files" / "md5"
    (bad,) = [file for file in store.rglob("*") if file.is_file() and file.read_bytes() == VERSION_2]
    bad.chmod(0o644)
    bad.write_bytes(VERSION_2.replace(b"2", b"3"))
    with pytest.raises(DataError, match=r"other bytes for table\.csv.*MD5 is \w{32}, the record says \w{32}"):
        pull(str(repository), path="table.csv", output=output)
    bad.write_bytes(VERSION_2)
    pull(str(repository), path="table.csv", output=output)
    assert pulled(output) == {"table.csv": VERSION_2}


def test_http_without_access_says_so(repository: Path, http: type[Http], output: Path) -> None:
    http.status[0] = 403
    with pytest.raises(SourceError, match=r"no access to the DVC remote 'far'.*403"):
        pull(str(repository), path="table.csv", output=output)


def test_an_http_server_without_the_object_says_what_to_do(repository: Path, http: type[Http], output: Path) -> None:
    shutil.rmtree(repository.parent / "remote" / "files")
    with pytest.raises(SourceError, match=r"DVC tracks table\.csv, but its remote 'far' does not have the bytes"):
        pull(str(repository), path="table.csv", output=output)


# SSH


@pytest.fixture
def ssh_repository(ssh: tuple[int, Path], repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    port, folder = ssh
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("ROPEWALK_SSH_KEY", str(folder / "right"))
    use_remote(repository, f"ssh://{getpass.getuser()}@127.0.0.1:{port}{repository.parent}/remote")
    return repository


def test_ssh_gives_a_file_and_a_folder(ssh_repository: Path, output: Path) -> None:
    pull(str(ssh_repository), path="table.csv", output=output)
    assert pulled(output) == {"table.csv": VERSION_2}
    pull(str(ssh_repository), path="parts", output=output)
    assert pulled(output) == PARTS


def test_a_wrong_ssh_key_names_the_variable(
    ssh: tuple[int, Path], ssh_repository: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROPEWALK_SSH_KEY", str(ssh[1] / "wrong"))
    with pytest.raises(SourceError, match=r"no access to the DVC remote 'far'.*Set ROPEWALK_SSH_KEY") as caught:
        pull(str(ssh_repository), path="table.csv", output=output)
    assert str(ssh[1] / "wrong") not in str(caught.value)
    monkeypatch.setenv("ROPEWALK_SSH_KEY", str(ssh[1] / "missing"))
    with pytest.raises(SourceError, match=r"ROPEWALK_SSH_KEY names a file that is not there"):
        pull(str(ssh_repository), path="table.csv", output=output)


def test_a_git_repository_behind_ssh_is_read_with_the_key(
    ssh: tuple[int, Path], ssh_repository: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, folder = ssh
    client = tmp_path / "bin" / "ssh"
    client.parent.mkdir()
    # ssh takes the home folder from the system's list of users, not from HOME.
    client.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -oUserKnownHostsFile={folder}/home/.ssh/known_hosts "$@"\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    address = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{ssh_repository}"
    pull(address, path="table.csv", output=output)
    assert pulled(output) == {"table.csv": VERSION_2}
    monkeypatch.setenv("ROPEWALK_SSH_KEY", str(folder / "wrong"))
    with pytest.raises(SourceError, match=r"no access to ssh://.*ROPEWALK_SSH_KEY"):
        pull(address, path="table.csv", output=output)


@pytest.mark.parametrize("url", ["s3://bucket/dvc", "http://127.0.0.1:{port}", "ssh://me@127.0.0.1:{port}/dvc"])
def test_a_remote_that_is_down_is_an_error_worth_trying_again(
    repository: Path, output: Path, url: str, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    port = free_port
    settings = [f"endpointurl = http://127.0.0.1:{port}"] if url.startswith("s3") else []
    use_remote(repository, url.format(port=port), *settings)
    with pytest.raises(ServiceError, match=r"remote 'far' broke off or cannot be reached.*Check the network"):
        pull(str(repository), path="table.csv", output=output)
