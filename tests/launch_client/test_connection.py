"""What goes wrong between us and the server passes by itself where it can, and is explained where it cannot."""

import datetime
import http.server
import ipaddress
import socket
import threading
import time
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kfp_server.server import serve
from ropewalk.errors import ClusterError, ConfigError, ServiceError
from ropewalk.launch.client.connect import choose_namespace, find_connection, open_server, read_connection
from ropewalk.launch.connection_config import ConnectionConfig


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Return the files of a certificate for localhost, its key, and the authority that signed it."""
    folder = tmp_path_factory.mktemp("authority")
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    root, leaf = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Our own", "localhost"))
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject, key, *, root_itself):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=root_itself, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
                ),
                critical=False,
            )
            .sign(keys[0], hashes.SHA256())
        )

    pem = serialization.Encoding.PEM
    (folder / "root.pem").write_bytes(certificate(root, keys[0], root_itself=True).public_bytes(pem))
    (folder / "leaf.pem").write_bytes(certificate(leaf, keys[1], root_itself=False).public_bytes(pem))
    (folder / "leaf.key").write_bytes(
        keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "leaf.pem", folder / "leaf.key", folder / "root.pem"


def test_nobody_listens_at_the_address(connect):
    with pytest.raises(ServiceError, match=r"cannot be reached: .*refused.*Check kfp\.host"):
        connect(host=f"http://127.0.0.1:{_free_port()}").get("/healthz")


def test_the_host_does_not_exist(connect):
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=r"cannot be found: .*Check kfp\.host or --host"):
        connect(host="http://no-such-host.invalid").get("/healthz")
    assert time.monotonic() - begun < 5


def test_the_host_is_no_address(connect):
    with pytest.raises(ConfigError, match=r"is no address: .*Check kfp\.host or --host"):
        connect(host="http://[::1").get("/healthz")


@pytest.mark.parametrize("kind", ["text/html", "text/plain"])
def test_something_else_is_at_the_address(api, connect, kind):
    api.extras.append(lambda handler, path, content: handler.send(200, b"<html>Hello</html>", kind=kind) or True)
    with pytest.raises(ConfigError, match=f"is not the API of Kubeflow Pipelines: it answers with {kind}"):
        connect().get("/healthz")


def test_the_path_before_the_api_is_missing(api, connect):
    api.prefix = "/pipeline"
    with pytest.raises(ConfigError, match=r"not the API .*/apis/v2beta1/healthz is not there .*example.org/pipeline"):
        connect(host=f"http://127.0.0.1:{api.port}").get("/healthz")
    assert connect(host=f"{api.url}/").get("/healthz") == {"multi_user": False, "pipeline_store": "database"}


def test_a_server_that_wants_tls_says_so(api, connect):
    def answer(handler, path, content):
        handler.send(301, b"", headers={"Location": f"https://127.0.0.1:{api.port}{path}"})
        return True

    api.extras.append(answer)
    with pytest.raises(ConfigError, match=f"write https://127.0.0.1:{api.port}"):
        connect().get("/healthz")


def test_a_certificate_is_checked_and_an_own_authority_is_trusted(authority, connect, monkeypatch):
    certificate, key, root = authority
    with serve(certificate=(certificate, key)) as api:
        begun = time.monotonic()
        with pytest.raises(ConfigError, match=r"cannot be trusted: .*name its PEM file in kfp\.ca_file"):
            connect(host=api.url).get("/healthz")
        assert time.monotonic() - begun < 5, "it is not tried again: it cannot pass"
        assert connect(host=api.url, ca_file=str(root)).get("/healthz")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        assert connect(host=api.url, ca_file=str(root)).get("/healthz"), "the profile's authority comes first"


def test_tls_is_spoken_to_a_server_without(api, connect):
    with pytest.raises(ConfigError, match="where it speaks plain HTTP, write http://"):
        connect(host=f"https://127.0.0.1:{api.port}").get("/healthz")


def test_the_file_of_an_authority_is_missing():
    with pytest.raises(ConfigError, match=r"kfp\.ca_file: there is no file '/no/ca\.pem'"):
        open_server(ConnectionConfig(host="http://x", ca_file="/no/ca.pem"))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_waited_for(api, server, status):
    api.faults.add(status=status, times=2)
    assert server.get("/healthz")
    assert [call.status for call in api.calls] == [status, status, 200]


def test_the_server_says_how_long_to_wait(api, server):
    api.faults.add(status=429, headers={"Retry-After": "1"})
    begun = time.monotonic()
    assert server.get("/healthz")
    assert time.monotonic() - begun >= 0.5


def test_a_server_that_only_fails_is_not_waited_for_long(api, server):
    api.faults.add(status=500, times=1000)
    with pytest.raises(ClusterError, match=r"refused \(500\): fault on purpose"):
        server.get("/runs")
    assert len(api.calls) <= 6


def test_a_server_that_stays_away_is_given_up(api, connect):
    said = []
    server = connect(notice=said.append)
    assert server.get("/healthz")
    api.faults.add(status=503, times=10_000)
    with pytest.raises(ServiceError, match=r"has not answered as it should for 3 s\. What runs there goes on\. .*503"):
        server.get("/healthz")
    assert said == [f"{api.url} does not answer as it should (503: fault on purpose); trying again for a while"]


def test_a_broken_connection_is_tried_again(api, server):
    api.faults.add(reset=True, times=2)
    assert server.get("/healthz")
    assert len(api.calls) == 3


def test_a_restart_is_waited_for(api, connect):
    said = []
    server = connect(notice=said.append)
    assert server.get("/healthz")
    threading.Thread(target=api.restart, kwargs={"away": 1.0}, daemon=True).start()
    time.sleep(0.2)
    assert server.get("/healthz")
    assert said[-1] == f"{api.url} answers again"


def test_a_name_that_is_taken_is_an_error_where_nothing_can_be_found(api, server):
    server.post("/experiments", {"display_name": "work"})
    with pytest.raises(ClusterError, match=r"refused \(409\): .*already exists"):
        server.post("/experiments", {"display_name": "work"})


def test_an_open_server_that_knows_nobody(api, connect):
    api.gate.closed = True
    with pytest.raises(ClusterError, match=r"does not know us \(401\)\. No login is set\. .*ROPEWALK_KFP_TOKEN"):
        connect().get("/healthz")


def test_being_sent_to_a_login_is_no_answer(api, connect):
    api.gate.closed, api.gate.login = True, "/dex/auth?client_id=kubeflow"
    with pytest.raises(ClusterError, match=r"does not know us \(302\)\. No login is set"):
        connect().get("/healthz")


def test_a_namespace_of_others_is_refused_and_a_missing_one_named(connect, monkeypatch):
    monkeypatch.setenv("ROPEWALK_KFP_TOKEN", "t")
    with serve(multi_user=True) as api:
        api.gate.tokens = {"t": "ann"}
        api.state.members = {"ann": {"team-a"}}
        with pytest.raises(ClusterError, match=r"in namespace team-b \(403\): .*Check the namespace"):
            connect(host=api.url, namespace="team-b").get("/runs", {"namespace": "team-b"})
        with pytest.raises(ConfigError, match=r"several users: name your namespace"):
            connect(host=api.url).get("/runs")


def test_one_who_has_the_server_alone_names_no_namespace(server, connect):
    with pytest.raises(ConfigError, match=r"has one user: leave the namespace empty \(now 'team-a'\)"):
        connect(namespace="team-a").get("/runs", {"namespace": "team-a"})


@pytest.mark.parametrize("multi_user", [True, False])
def test_a_pod_works_in_its_own_namespace_where_there_are_several(connect, monkeypatch, tmp_path, multi_user):
    (tmp_path / "namespace").write_text("team-a\n")
    monkeypatch.setattr("ropewalk.launch.client.connect._IN_POD", tmp_path / "namespace")
    with serve(multi_user=multi_user) as api:
        server = connect(host=api.url)
        choose_namespace(server)
        assert server.namespace == ("team-a" if multi_user else "")


def test_a_login_without_tls_is_told(monkeypatch):
    monkeypatch.setenv("ROPEWALK_KFP_TOKEN", "t")
    said: list[str] = []
    for host in ("http://kubeflow.example.org", "http://ml-pipeline.kubeflow.svc:8888", "http://localhost:8080"):
        open_server(ConnectionConfig(host=host), notice=said.append).close()
    assert said == [
        "note: http://kubeflow.example.org is spoken to without TLS: your login can be read on the way. Use https://."
    ]


def test_a_server_that_is_too_slow_is_asked_again(api, server, monkeypatch):
    monkeypatch.setattr("ropewalk.launch.client.server._TIMEOUT", (1.0, 0.3))
    api.faults.add(seconds=0.6)
    assert server.get("/healthz")
    api.faults.add(seconds=0.6, method="POST")
    made: list[dict] = []

    def found():
        made[:] = list(server.pages("/experiments", "experiments"))
        return made[0] if made else None

    assert server.post("/experiments", {"display_name": "work"}, found=found)
    assert len(api.state.experiments) == 1


def test_the_servers_clock_is_the_one_that_counts(api, server):
    api.state.skew = 3600.0
    server.get("/healthz")
    assert abs(server.now() - time.time() - 3600) < 2


def test_a_proxy_is_used_where_one_is_named(api, connect, monkeypatch):
    seen: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            answer = requests.get(self.path, timeout=5, proxies={"http": ""})
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{proxy.server_port}"
    try:
        assert connect(proxy=address).get("/healthz")
        assert seen == [f"{api.url}/apis/v2beta1/healthz"]
        monkeypatch.setenv("HTTP_PROXY", f"http://user:s3cret@127.0.0.1:{proxy.server_port}")
        assert connect().get("/healthz")
        assert len(seen) == 2
        monkeypatch.setenv("HTTP_PROXY", f"http://user:s3cret@127.0.0.1:{_free_port()}")
        with pytest.raises(ServiceError, match="proxy") as raised:
            connect().get("/healthz")
        assert "s3cret" not in str(raised.value)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert connect().get("/healthz")
    finally:
        proxy.shutdown()
        proxy.server_close()


def test_where_the_server_is_comes_from_the_profile_the_flags_or_the_environment(tmp_path: Path, monkeypatch):
    profile = tmp_path / "cluster.yaml"
    profile.write_text("kfp: {host: https://a.example/pipeline, namespace: team-a}\nsecrets: []\n", encoding="utf-8")
    assert find_connection(profile, "", "").host == "https://a.example/pipeline"
    assert find_connection(profile, "http://b", "team-b") == ConnectionConfig(host="http://b", namespace="team-b")
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://c")
    assert find_connection(None, "", "").host == "http://c"
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    with pytest.raises(ConfigError, match=r"No server is named\. Give --host URL"):
        find_connection(None, "", "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("kfp: {hots: http://a}", r"cluster.yaml: kfp.hots: there is no such setting. Did you mean 'host'"),
        ("kfp: {host: kubeflow.example}", "need a URL"),
        ("kfp: [a]", "has no settings under kfp"),
        ("- a", "has no settings under kfp"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_wrong_profile_is_refused(tmp_path, content, told):
    profile = tmp_path / "cluster.yaml"
    profile.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        read_connection(profile)
