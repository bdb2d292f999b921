"""A server of KFP's API, and a client of ours that is connected to it and does not wait for long."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kfp_server.server import KfpServer, serve
from ropewalk.cluster.patience import Patience
from ropewalk.launch.client.connect import open_server
from ropewalk.launch.client.server import Server
from ropewalk.launch.connection_config import ConnectionConfig

QUICK = Patience(shortest_poll=0.02, longest_poll=0.1, first_retry=0.02, unreachable=3.0)
TRAINING = Path(__file__).parents[1] / "pipelines" / "golden" / "training.yaml"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what is set on this machine out of the test, and never wait for long."""
    for name in (
        *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_SA_TOKEN_PATH", "ROPEWALK_KFP_TOKEN", "ROPEWALK_KFP_COOKIES"),
        "KUBERNETES_SERVICE_HOST",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROPEWALK_HOME", str(tmp_path / "home"))


@pytest.fixture
def api() -> Iterator[KfpServer]:
    """A running server that lets everybody in."""
    with serve() as server:
        yield server


@pytest.fixture
def connect(api: KfpServer) -> Iterator[Callable[..., Server]]:
    """Return a function that connects to the server; its arguments are those of ConnectionConfig."""
    with ExitStack() as stack:

        def connect(patience: Patience = QUICK, notice: Any = lambda text: None, **config: Any) -> Server:
            settings = config if "port_forward" in config else {"host": api.url, **config}
            return stack.enter_context(open_server(ConnectionConfig(**settings), patience=patience, notice=notice))

        yield connect


@pytest.fixture
def server(connect: Callable[..., Server]) -> Server:
    """A connection without a login."""
    return connect()


@pytest.fixture
def ropewalk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line: gives exit code, output and error output."""
    import sys

    from ropewalk import cli

    monkeypatch.setitem(open_server.__kwdefaults__, "patience", QUICK)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ropewalk", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """The compiled pipeline `training`, outside of any repository."""
    file = tmp_path / "build" / "training.yaml"
    file.parent.mkdir()
    file.write_text(TRAINING.read_text(encoding="utf-8").replace("(any)", "kfp-2.17.0"), encoding="utf-8")
    return file
