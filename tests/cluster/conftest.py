"""An API server, and a client that is connected to it as a step's pod or a person's shell is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_api import KubeApi
from quick import QUICK
from serving import served

from ropewalk.cluster.connect import connect
from ropewalk.cluster.connection import Cluster


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    """A running API server that KUBECONFIG points to."""
    with served(KubeApi(), tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def cluster(api: KubeApi) -> Cluster:
    """A connection that does not wait for long."""
    return connect(patience=QUICK)
