"""Where pull requests are commented on, as far as a CI template needs it: GitHub's and GitLab's API for comments."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Forge:
    """One pull request's comments."""

    token: str
    url: str = ""
    comments: dict[int, str] = field(default_factory=dict)
    refused: int = 0


@contextmanager
def serve_comments(token: str) -> Iterator[Forge]:
    """Keep comments for as long as the block runs, of those who show `token`."""
    forge = Forge(token)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, [{"id": number, "body": body} for number, body in forge.comments.items()])

        def do_POST(self) -> None:
            self._keep(len(forge.comments) + 1, 201)

        def do_PATCH(self) -> None:
            self._keep(int(self.path.rpartition("/")[2]), 200)

        do_PUT = do_PATCH

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

        def _keep(self, number: int, status: int) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
            if self._answer(status, {"id": number, "body": body}):
                forge.comments[number] = body

        def _answer(self, status: int, content: object) -> bool:
            shown = {self.headers.get("PRIVATE-TOKEN"), self.headers.get("Authorization", "").removeprefix("Bearer ")}
            known = forge.token in shown
            forge.refused += not known
            text = json.dumps(content if known else {"message": "Requires authentication"}).encode()
            self.send_response(status if known else 401)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return known

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    forge.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
