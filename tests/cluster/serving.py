"""Serves an API server of ours for as long as a block runs, with KUBECONFIG pointing to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from kube_api import NAMESPACE, KubeApi, token

Server = TypeVar("Server", bound=KubeApi)


@contextmanager
def served(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve; what connects meanwhile is a person's shell or, where a test says so, a pod."""
    server.start()
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}],
        "users": [{"name": "test", "user": {"token": token()}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    try:
        yield server
    finally:
        server.stop()
