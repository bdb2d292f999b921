"""A Git repository behind https: the token from the environment opens it, and shows nowhere."""

import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ropewalk.data.pull import pull
from ropewalk.errors import SourceError

TOKEN = "hunter2-token"
RIGHT = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class GitServer(BaseHTTPRequestHandler):
    """Hands requests that bring the token to `git http-backend`."""

    root: Path

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != RIGHT:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (GitServer,), {"root": repository.parent}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}/repository/.git"
    server.shutdown()
    server.server_close()


def test_the_token_opens_an_https_repository_and_is_recorded_nowhere(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROPEWALK_GIT_TOKEN", TOKEN)
    pull(address, path="plain.csv", output=tmp_path / "output")
    assert (tmp_path / "output" / "data" / "plain.csv").read_bytes() == b"a,b\n1,2\n"
    shown = (tmp_path / "output" / "manifest.json").read_text() + "".join(capfd.readouterr())
    assert TOKEN not in shown
    assert RIGHT.split()[1] not in shown


@pytest.mark.parametrize("token", ["", "wrong-token"])
def test_a_missing_or_wrong_token_is_asked_for_by_name(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("ROPEWALK_GIT_TOKEN", token)
    with pytest.raises(SourceError, match=r"no access to https://127.*Set ROPEWALK_GIT_TOKEN") as caught:
        pull(address, path="plain.csv", output=tmp_path / "output")
    assert "wrong-token" not in str(caught.value)
