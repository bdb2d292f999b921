"""A pod connects with its service account, over TLS; requests that a cluster refuses are explained."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kube_api import KubeApi, token
from quick import QUICK

from ropewalk.cluster import connect as connecting
from ropewalk.cluster.access import Permission, forbidden, rbac_manifest
from ropewalk.cluster.connect import connect
from ropewalk.errors import ClusterError, ConfigError, ServiceError


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "ca.crt"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def pod(certificate, tmp_path, monkeypatch):
    """The files and variables that a pod has; the API server runs."""
    from kubernetes.config import incluster_config

    api = KubeApi()
    api.start(certificate=certificate)
    (tmp_path / "token").write_text(token())
    (tmp_path / "namespace").write_text("team-a\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate))
    monkeypatch.setattr(connecting, "_IN_POD", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api.port))
    yield api
    api.stop()


def test_a_pod_connects_with_its_service_account(pod):
    cluster = connect(patience=QUICK)
    assert cluster.namespace == "team-a"
    assert cluster.pods({"a": "b"}) == []
    assert pod.asked == [("", "pods", "list")]


def test_a_server_with_another_certificate_is_not_talked_to(pod, tmp_path, monkeypatch):
    from certifi import where
    from kubernetes.config import incluster_config

    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", where())
    with pytest.raises((ClusterError, ServiceError), match="certificate"):
        connect(patience=type(QUICK)(unreachable=0.2, first_retry=0.05)).pods({"a": "b"})
    assert pod.asked == []


def test_a_pod_without_a_token_is_no_way_in(pod, tmp_path):
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigError, match="There is no cluster for training"):
        connect()


def test_what_no_role_can_grant_is_passed_on_in_the_clusters_words():
    told = forbidden('pods "x" is forbidden: exceeded quota: gpu', "team-a", "training")
    assert "exceeded quota: gpu" in told
    assert "RoleBinding" not in told


def test_a_person_is_named_and_no_account_is_made_up():
    told = forbidden(
        'x is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "b"', "a", "training"
    )
    assert told.startswith("User ann lacks, in namespace b: verb list on pods")
    assert rbac_manifest(namespace="b", service_account="SERVICE_ACCOUNT") in told


def test_permissions_that_are_there_let_the_step_begin(api, cluster):
    cluster.require([Permission(group="", resource="pods/log", verb="get")])
    api.denied = {("pods/log", "get")}
    with pytest.raises(ClusterError, match="verb get on pods/log"):
        cluster.require([Permission(group="", resource="pods/log", verb="get")])
