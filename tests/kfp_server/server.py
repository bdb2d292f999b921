"""A server of KFP's API for tests: real HTTP, the published contract, and faults on purpose."""

import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kfp_server import contract
from kfp_server.faults import Faults
from kfp_server.gate import Gate
from kfp_server.refusal import Refusal
from kfp_server.routes import API, answer
from kfp_server.state import State

Extra = Callable[["Handler", str, str], bool]


@dataclass(frozen=True)
class Call:
    """One request that came."""

    method: str
    path: str
    status: int


class KfpServer:
    """KFP's API at `url`; `state`, `gate`, `faults` and `logs` are a test's to change while it runs."""

    def __init__(self, *, multi_user: bool = False, certificate: tuple[Path, Path] | None = None) -> None:
        self.state = State(multi_user=multi_user)
        self.gate = Gate()
        self.faults = Faults()
        self.logs: dict[str, bytes] = {}
        """What the code of each task wrote, by the task's name."""
        self.pods_gone = False
        """Whether pods have been deleted: logs are then found by the workflow's node, in the archive."""
        self.calls: list[Call] = []
        self.violations: list[str] = []
        """Where a request or an answer breaks the published contract."""
        self.extras: list[Extra] = []
        """What answers other paths, such as a login."""
        self.prefix = ""
        """Path before the API's own, such as /pipeline: as a gateway has it."""
        self._certificate = certificate
        self._server: ThreadingHTTPServer | None = None
        self.connections: set[socket.socket] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """The address to give to a client."""
        scheme, host = ("https", "localhost") if self._certificate else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}{self.prefix}"

    def start(self) -> None:
        """Serve: on the same port as before, when it was stopped."""
        server = _Listener(("127.0.0.1", self.port), _handler(self))
        if self._certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = server.server_port
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more; what is kept is kept."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            for connection in list(self.connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def restart(self, *, away: float) -> None:
        """Be away for so many seconds, then serve again."""
        self.stop()
        time.sleep(away)
        self.start()

    def count(self, method: str, path: str) -> int:
        """Return how many requests by this method came to paths that match the regular expression."""
        return sum(call.method == method and re.search(path, call.path) is not None for call in list(self.calls))


@contextmanager
def serve(**settings: Any) -> Iterator[KfpServer]:
    """Serve for as long as the block runs; fails at its end when something broke the contract."""
    server = KfpServer(**settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert not server.violations, "\n".join(server.violations)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    owner: KfpServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        self.owner.connections.add(self.connection)
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError, TimeoutError, ValueError):
            self.close_connection = True
        finally:
            self.owner.connections.discard(self.connection)

    def send(
        self,
        status: int,
        content: bytes,
        *,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        cookies: tuple[str, ...] = (),
    ) -> None:
        """Answer."""
        self.owner.calls.append(Call(self.command, self.path, status))
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the server's own time for the header Date."""
        return super().date_time_string((timestamp or time.time()) + self.owner.state.skew)

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        fault = self.owner.faults.take(self.command, path)
        if fault and not fault.after and (fault.reset or fault.status):
            self._fail(fault.status, fault.headers)
        elif fault and fault.after:
            self._answer(path, content, drop=True)
            self._fail(fault.status, fault.headers)
        else:
            self._answer(path, content)

    def _fail(self, status: int, headers: dict[str, str]) -> None:
        if status:
            body = json.dumps({"code": 14, "message": "fault on purpose", "details": []}).encode()
            self.send(status, body, headers=headers)
            return
        self.owner.calls.append(Call(self.command, self.path, 0))
        # An abortive close: the peer sees a reset, not an end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        self.rfile.close()
        self.wfile = _Nowhere()

    def _answer(self, path: str, content: bytes, *, drop: bool = False) -> None:
        if any(extra(self, path, content.decode(errors="replace")) for extra in self.owner.extras):
            return
        if not path.startswith(self.owner.prefix + "/"):
            self.send(404, b"<html>not here</html>", kind="text/html")
            return
        path = path.removeprefix(self.owner.prefix)
        try:
            user = self.owner.gate.user(self.headers)
        except Refusal as refusal:
            if self.owner.gate.login:
                self.send(302, b"", headers={"Location": self.owner.gate.login})
            else:
                self.send(refusal.status, json.dumps(refusal.body).encode())
            return
        if not path.startswith(API):
            self._other(path, user)
            return
        status, body = self._operate(path, content, user)
        if not drop:
            self.send(status, json.dumps(body).encode())

    def _operate(self, path: str, content: bytes, user: str) -> tuple[int, dict[str, Any]]:
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        body, upload = _body(self.headers.get("Content-Type", ""), content)
        operation = ""
        if contract.present():
            files = {"uploadfile"} if upload is not None else set()
            operation, problems = contract.request_problems(self.command, path, query, body, files)
            self.owner.violations += [f"{self.command} {self.path}: request: {problem}" for problem in problems]
        status, answered = 200, {}
        try:
            flat = {name: values[0] for name, values in query.items()}
            answered = answer(self.owner.state, user, self.command, path, flat, body, upload or b"")
        except Refusal as refusal:
            status, answered = refusal.status, refusal.body
        if operation:
            problems = contract.response_problems(operation, status, answered)
            self.owner.violations += [f"{self.command} {path}: answer {status}: {problem}" for problem in problems]
        return status, answered

    def _other(self, path: str, user: str) -> None:
        match = re.fullmatch("/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", path)
        run = self.owner.state.run(user, match[1]) if match and match[1] in self.owner.state.runs else None
        task = None
        if match and run:
            task = run.archived_task_of(match[2]) if self.owner.pods_gone else run.task_of(match[2])
        if match is None:
            self.send(404, b"404 page not found\n", kind="text/plain")
        elif run is None or task is None:
            message = {"error_message": f'pods "{match[2]}" not found', "error_details": ""}
            self.send(500, json.dumps(message).encode())
        else:
            self.send(200, self.owner.logs.get(task, b""), kind="text/plain")


class _Listener(ThreadingHTTPServer):
    """Takes many connections at once."""

    daemon_threads = True
    request_queue_size = 128


class _Nowhere:
    """Where the rest of an answer goes when its connection is broken."""

    closed = True

    def write(self, content: bytes) -> int:
        return len(content)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""


def _body(kind: str, content: bytes) -> tuple[Any, bytes | None]:
    """Return the JSON of a request, and the file that it uploads."""
    if kind.startswith("multipart/form-data"):
        message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
        for part in message.get_payload():
            if 'name="uploadfile"' in part["Content-Disposition"]:
                return None, part.get_payload(decode=True)
        return None, None
    return (json.loads(content) if content else None), None


def _handler(owner: KfpServer) -> type[Handler]:
    return type("Bound", (Handler,), {"owner": owner})
