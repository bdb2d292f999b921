"""How one logs in, and that nothing secret is told."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from kfp_server.dex import Dex
from ropewalk.errors import ClusterError, ConfigError
from ropewalk.launch.connection_config import DexLogin, PortForward

SECRET = "s3cr3t-t0k3n"


def test_a_token_from_a_variable(api, connect, monkeypatch):
    api.gate.tokens = {SECRET: "ann"}
    monkeypatch.setenv("MY_TOKEN", f"{SECRET}\n")
    assert connect(token_env="MY_TOKEN").get("/healthz")


def test_a_wrong_token_is_named_by_its_source_alone(api, connect, monkeypatch):
    api.gate.tokens = {"another": "ann"}
    monkeypatch.setenv("MY_TOKEN", SECRET)
    with pytest.raises(ClusterError, match=r"does not know us \(401\)\. The bearer token is from MY_TOKEN") as raised:
        connect(token_env="MY_TOKEN").get("/healthz")
    assert SECRET not in str(raised.value)
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "MY_TOKEN is not set. It must hold a bearer token"),
        (f"Bearer {SECRET}", "is no bearer token: it has 2 words"),
        ("geheim-ß", "is no bearer token"),
    ],
)
def test_what_is_no_token_is_refused_before_it_is_sent(api, connect, monkeypatch, value, told):
    monkeypatch.setenv("MY_TOKEN", value)
    with pytest.raises(ConfigError, match=told) as raised:
        connect(token_env="MY_TOKEN").get("/healthz")
    assert SECRET not in str(raised.value)
    assert not api.calls


def test_a_file_is_read_anew_because_tokens_are_rotated(api, connect, tmp_path):
    file = tmp_path / "token"
    file.write_text("first", encoding="utf-8")
    api.gate.tokens = {"first": "ann"}
    server = connect(existing_token_file=str(file))
    assert server.get("/healthz")
    api.gate.tokens = {"second": "ann"}
    file.write_text("second", encoding="utf-8")
    assert server.get("/healthz")
    assert [call.status for call in api.calls] == [200, 200]


def test_a_missing_file_is_told_before_anything_is_asked(api, connect):
    with pytest.raises(ConfigError, match=r"The token file /no/token cannot be read: No such file"):
        connect(existing_token_file="/no/token")


def test_the_pods_own_token_is_used_where_it_is_mounted(api, connect, tmp_path, monkeypatch):
    (tmp_path / "token").write_text(SECRET, encoding="utf-8")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    api.gate.tokens = {SECRET: "system:serviceaccount:team-a:default-editor"}
    assert connect().get("/healthz")


def test_a_command_is_run_again_when_its_token_has_expired(api, connect, tmp_path):
    script = tmp_path / "token.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            file = Path({str(tmp_path / "count")!r})
            count = int(file.read_text()) + 1 if file.exists() else 1
            file.write_text(str(count))
            print(f"token-{{count}}")
            """
        ),
        encoding="utf-8",
    )
    api.gate.tokens = {"token-1": "ann"}
    server = connect(token_command=(sys.executable, str(script)))
    assert server.get("/healthz")
    assert server.get("/healthz")
    assert (tmp_path / "count").read_text() == "1", "the token is kept as long as it is good"
    api.gate.tokens = {"token-2": "ann"}
    assert server.get("/healthz")
    api.gate.tokens = {"other": "ann"}
    with pytest.raises(ClusterError, match="The bearer token is from the command"):
        server.get("/healthz")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            f"import sys; print('{SECRET}'); sys.exit('please log in first')",
            "failed with exit code 1: please log in first",
        ),
        ("pass", "is empty"),
    ],
)
def test_a_command_that_fails_is_told_without_its_output(connect, code, told):
    with pytest.raises(ConfigError, match=told) as raised:
        connect(token_command=(sys.executable, "-c", code)).get("/healthz")
    assert SECRET not in str(raised.value)


def test_a_command_that_is_not_there(connect):
    with pytest.raises(ConfigError, match="'no-such-command' cannot be run: No such file"):
        connect(token_command=("no-such-command",)).get("/healthz")


def test_cookies_of_a_session(api, connect, monkeypatch):
    api.gate.sessions = {"abc": "ann"}
    monkeypatch.setenv("MY_COOKIES", "theme=dark; authservice_session=abc")
    assert connect(cookies_env="MY_COOKIES").get("/healthz")
    api.gate.sessions = {"new": "ann"}
    with pytest.raises(ClusterError, match="The session's cookies are from MY_COOKIES"):
        connect(cookies_env="MY_COOKIES").get("/healthz")


@pytest.mark.parametrize("value", [f"a={SECRET}\nHost: evil", SECRET, f"a={SECRET}\x00", f"a={SECRET}ß"])
def test_what_are_no_cookies_is_refused_before_it_is_sent(api, connect, monkeypatch, value):
    monkeypatch.setattr("os.environ", {**os.environ, "MY_COOKIES": value})
    with pytest.raises(ConfigError, match="MY_COOKIES holds no cookies") as raised:
        connect(cookies_env="MY_COOKIES").get("/healthz")
    assert SECRET not in str(raised.value)
    assert not api.calls


def test_passwords_of_a_netrc_are_not_sent(api, connect, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login ann password {SECRET}\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    brought: list[str] = []
    api.extras.append(lambda handler, path, content: brought.append(handler.headers.get("Authorization", "")) or False)
    assert connect().get("/healthz")
    assert brought == [""]


@pytest.fixture
def dex_login(monkeypatch) -> DexLogin:
    monkeypatch.setenv("DEX_USER", "ann@example.org")
    monkeypatch.setenv("DEX_PASSWORD", SECRET)
    return DexLogin(username_env="DEX_USER", password_env="DEX_PASSWORD")


@pytest.mark.parametrize("choice", [True, False])
@pytest.mark.parametrize("approval", [True, False])
def test_dex_lets_in_and_lets_in_again_when_the_session_has_ended(api, connect, dex_login, choice, approval):
    dex = Dex(api, {"ann@example.org": SECRET}, choice=choice, approval=approval)
    server = connect(dex=dex_login)
    assert server.get("/healthz")
    assert server.get("/healthz")
    assert dex.logins == 1
    dex.end_sessions()
    assert server.post("/experiments", {"display_name": "work"})["experiment_id"]
    assert dex.logins == 2


def test_dex_refuses_a_wrong_password(api, connect, dex_login):
    Dex(api, {"ann@example.org": "another"})
    with pytest.raises(ClusterError, match=r"Dex refused the login of the user in DEX_USER .* DEX_PASSWORD") as raised:
        connect(dex=dex_login).get("/healthz")
    assert SECRET not in str(raised.value)


def test_a_server_without_dex_is_told(api, connect, dex_login):
    with pytest.raises(ConfigError, match="shows no login form of Dex"):
        connect(dex=dex_login).get("/healthz")


def test_a_missing_password_is_told_before_the_form_is_asked_for(api, connect, dex_login, monkeypatch):
    Dex(api, {})
    monkeypatch.delenv("DEX_PASSWORD")
    with pytest.raises(ConfigError, match="DEX_PASSWORD is not set"):
        connect(dex=dex_login).get("/healthz")
    assert not api.calls


KUBECTL = """#!{python}
import os, socket, sys, threading
assert sys.argv[1:] == ["port-forward", "--namespace", "kubeflow", "--address", "127.0.0.1",
                        "service/ml-pipeline", ":8888"], sys.argv
if os.environ.get("KUBECTL_SAYS"):
    sys.exit(os.environ["KUBECTL_SAYS"])
listener = socket.create_server(("127.0.0.1", 0))
with open({pids!r}, "a") as file:
    print(os.getpid(), file=file)
print(f"Forwarding from 127.0.0.1:{{listener.getsockname()[1]}} -> 8888", flush=True)
def copy(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
while True:
    near, _ = listener.accept()
    far = socket.create_connection(("127.0.0.1", {port}))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=copy, args=pair, daemon=True).start()
"""


@pytest.fixture
def kubectl(api, tmp_path: Path, monkeypatch) -> Path:
    """A kubectl that forwards to the server; returns the file with the ids of its processes."""
    folder, pids = tmp_path / "bin", tmp_path / "pids"
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(KUBECTL.format(python=sys.executable, pids=str(pids), port=api.port), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return pids


def test_a_service_is_reached_by_port_forward_also_after_it_died(api, connect, kubectl, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = connect(port_forward=PortForward())
    assert server.get("/healthz")
    os.kill(int(kubectl.read_text().split()[-1]), 9)
    assert server.get("/healthz")
    first, second = map(int, kubectl.read_text().split())
    assert first != second
    server.close()
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_a_forward_ends_when_we_are_killed(kubectl):
    script = (
        "from ropewalk.launch.client.connect import open_server\n"
        "from ropewalk.launch.connection_config import ConnectionConfig, PortForward\n"
        "import os, signal\n"
        "open_server(ConnectionConfig(port_forward=PortForward())).get('/healthz')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-P", "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    (forward,) = map(int, kubectl.read_text().split())
    begun = time.monotonic()
    while Path(f"/proc/{forward}/cmdline").exists() and time.monotonic() - begun < 10:
        time.sleep(0.05)
    assert not Path(f"/proc/{forward}/cmdline").exists()


def test_a_forward_that_kubectl_refuses_is_told(connect, kubectl, monkeypatch):
    monkeypatch.setenv("KUBECTL_SAYS", 'Error from server (NotFound): services "ml-pipeline" not found')
    with pytest.raises(Exception, match=r'services "ml-pipeline" not found.*check kubeconfig and kfp\.port_forward'):
        connect(port_forward=PortForward()).get("/healthz")


def test_a_forward_needs_kubectl(connect, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs kubectl, which is not on PATH"):
        connect(port_forward=PortForward()).get("/healthz")
