"""An API server, and a client that is connected to it as a step's pod or a person's shell is."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import s3fs
from kube_api import KubeApi
from quick import QUICK
from serving import served

from ropewalk.cluster.connect import connect
from ropewalk.cluster.connection import Cluster

S3_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    """A running API server that KUBECONFIG points to."""
    with served(KubeApi(), tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def cluster(api: KubeApi) -> Cluster:
    """A connection that does not wait for long."""
    return connect(patience=QUICK)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A bucket on an S3 server of its own process; its environment is that of the pods, too."""
    process = subprocess.Popen(
        [sys.executable, "-c", S3_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{int(process.stdout.readline())}"
    environment = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(address, timeout=10).close()
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="mlpipeline")
    # Connections of earlier tests, to other servers, are kept by their arguments, not by the environment.
    s3fs.S3FileSystem.clear_instance_cache()
    yield environment
    s3fs.S3FileSystem.clear_instance_cache()
    process.stdin.close()
    process.wait()
    process.stdout.close()
