"""Raw-data artifacts, and a real Git and DVC repository, for the tests of the data step."""

import gzip
import json
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
import requests
from dvc.repo import Repo

from ropewalk.artifacts import RAW_DATA, write_artifact

SSHD = Path("/usr/sbin/sshd")
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


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    return _free_port()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Address of an S3 server that takes any keys."""
    with _s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def s3_with_users() -> Iterator[tuple[str, dict[str, str]]]:
    """Address of an S3 server that checks who asks, and the variables that let in; it has the bucket `guarded`."""
    anyone = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    with _s3_server() as address:
        iam = boto3.client("iam", endpoint_url=address, **anyone)
        iam.create_user(UserName="ropewalk")
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="ropewalk", PolicyName="all", PolicyDocument=json.dumps(everything))
        key = iam.create_access_key(UserName="ropewalk")["AccessKey"]
        boto3.client("s3", endpoint_url=address, **anyone).create_bucket(Bucket="guarded")
        requests.post(f"{address}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()
        yield (
            address,
            {
                "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                "AWS_DEFAULT_REGION": "us-east-1",
            },
        )


@contextmanager
def _s3_server() -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(port)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.fixture(scope="session")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Yield port and folder of an SSH server: the folder has keys `right` and `wrong`, and `home/.ssh/known_hosts`."""
    if not SSHD.exists():
        pytest.skip("install openssh-server")
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "right", "wrong"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "right.pub", folder / "authorized")
    Path("/run/sshd").mkdir(exist_ok=True)
    port = _free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
    )
    (folder / "home" / ".ssh").mkdir(parents=True)
    key = (folder / "host.pub").read_text()
    (folder / "home" / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}")
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=subprocess.DEVNULL)
    _wait_for(port)
    yield port, folder
    server.terminate()
    server.wait()
