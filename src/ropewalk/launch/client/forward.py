"""Leads to a Service inside a cluster: kubectl port-forward, for as long as we need it, begun anew when it dies."""

import re
import shutil
import subprocess
import threading
from queue import Empty, Queue

from requests.exceptions import ConnectionError as NoConnection

from ropewalk.errors import ConfigError
from ropewalk.launch.connection_config import PortForward

_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
_START_SECONDS = 30.0
_UNTIL_ORPHANED = 'exec 3<&0; "$@" & child=$!; (cat <&3; kill $child) >/dev/null 2>&1 & wait $child'
"""Shell: run a command until our end of its standard input closes, be it because we were killed."""


class Address:
    """Where the API is."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = url
        """What messages call it."""

    def close(self) -> None:
        """Nothing is open."""


class Forwarded(Address):
    """A Service that kubectl leads to."""

    def __init__(self, target: PortForward) -> None:
        self._target = target
        self._process: subprocess.Popen[str] | None = None
        self._url = ""
        self.name = f"service/{target.service} in namespace {target.namespace}"

    @property
    def url(self) -> str:  # type: ignore[override]
        """The address on this machine; a forward that has died is begun anew, on another port."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        return self._url

    def close(self) -> None:
        """End the forward."""
        if self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        if not shutil.which("kubectl"):
            raise ConfigError("kfp.port_forward needs kubectl, which is not on PATH. Install it, or set kfp.host.")
        service = f"service/{self._target.service}"
        command = ["kubectl", "port-forward", "--namespace", self._target.namespace, "--address", "127.0.0.1"]
        self._process = subprocess.Popen(
            ["sh", "-c", _UNTIL_ORPHANED, "sh", *command, service, f":{self._target.port}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to handle: the forward must outlive it until we have said so.
        )
        said: list[str] = []
        found: Queue[str] = Queue()
        threading.Thread(target=_read, args=(self._process, said, found), daemon=True).start()
        try:
            port = found.get(timeout=_START_SECONDS)
        except Empty:
            port = ""
        if not port:
            self.close()
            raise NoConnection(
                f"kubectl does not forward to it ({(said or ['it said nothing'])[-1][:300]}); check kubeconfig and "
                "kfp.port_forward"
            )
        self._url = f"http://127.0.0.1:{port}"


def _read(process: "subprocess.Popen[str]", said: list[str], found: "Queue[str]") -> None:
    """Read what kubectl says until it ends, so that it is never held up by a full pipe."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            said[:] = [*said, line.strip()][-5:]
            match = _FORWARDING.search(line)
            if match:
                found.put(match[1])
    found.put("")
