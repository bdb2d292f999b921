"""An API server, and a client that is connected to it as a step's pod or a person's shell is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kube_api import NAMESPACE, KubeApi, token
from quick import QUICK

from ropewalk.cluster.connect import connect
from ropewalk.cluster.connection import Cluster


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    """A running API server that KUBECONFIG points to."""
    server = KubeApi()
    server.start()
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}],
        "users": [{"name": "test", "user": {"token": token()}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    yield server
    server.stop()


@pytest.fixture
def cluster(api: KubeApi) -> Cluster:
    """A connection that does not wait for long."""
    return connect(patience=QUICK)
