"""The container engine: podman, whose API is served for the length of a run, or docker."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from ropewalk.errors import ConfigError, ServiceError

PODMAN = "podman"
DOCKER = "docker"
_DOCKER_SOCKET = "unix:///var/run/docker.sock"
_UNIX = "unix://"
_IDLE_SECONDS = 600
"""After so long without a connection podman's service ends by itself, should this process be killed."""
_START_SECONDS = 15.0
_ELSEWHERE = "or leave `--in containers` out: the steps then run as processes of this machine"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A container engine that answers."""

    kind: str
    """podman or docker."""
    version: str
    """Its own version, such as 4.9.3."""
    api: str
    """The version of Docker's API that it speaks."""
    url: str
    """unix://<socket>."""
    rootless: bool
    """Whether it runs without root: podman then maps the caller to himself."""
    selinux: bool
    """Whether SELinux keeps containers from files that are not labelled for them."""
    processors: int
    """As many processors a container may get."""

    def connect(self) -> docker.DockerClient:
        """Return a client; close it after use."""
        return docker.DockerClient(base_url=self.url, version=self.api)


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Yield the engine that $DOCKER_HOST names, else podman where it is installed, else docker.

    Raises:
        ConfigError: None is installed, or it cannot do what is needed.
        ServiceError: It does not answer.
    """
    host = os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith(_UNIX):
        raise ConfigError(
            f"DOCKER_HOST={host}: containers there see none of this machine's folders. Unset DOCKER_HOST or let it "
            f"name a socket, unix:///..., {_ELSEWHERE}."
        )
    program = shutil.which(PODMAN)
    if host:
        yield _ask(host, "DOCKER_HOST names it: start what should listen there, or unset DOCKER_HOST")
    elif program:
        with _podman_service(program) as url:
            yield _ask(url, f"see `{PODMAN} info`")
    elif shutil.which(DOCKER) or Path(_DOCKER_SOCKET.removeprefix(_UNIX)).exists():
        yield _ask(_DOCKER_SOCKET, "start it with `sudo systemctl start docker` or Docker Desktop")
    else:
        raise ConfigError(
            "Neither podman nor docker is installed here. Install one (`sudo apt-get install podman`, "
            f"`sudo dnf install podman`, or https://docs.docker.com/get-docker), {_ELSEWHERE}."
        )


def _ask(url: str, advice: str) -> Engine:
    """Return what the engine at `url` says of itself."""
    try:
        with contextlib.closing(docker.DockerClient(base_url=url, version="auto")) as client:
            version, facts = client.version(), client.info()
    except (DockerException, RequestException) as error:
        path = url.removeprefix(_UNIX)
        denied = Path(path).exists() and not os.access(path, os.R_OK | os.W_OK)
        hint = (
            f"have yourself let in to {path} (`sudo usermod -aG docker $USER`, then log in again)" if denied else advice
        )
        raise ServiceError(
            f"No container engine answers at {url}: {_reason(error)}. To go on, {hint}, {_ELSEWHERE}."
        ) from error
    options = facts.get("SecurityOptions") or []
    names = {component.get("Name", "") for component in version.get("Components") or []}
    kind = PODMAN if any("podman" in name.lower() for name in names) else DOCKER
    # Docker has it among the security options, podman apart.
    rootless = bool(facts.get("Rootless")) or any("name=rootless" in option for option in options)
    if rootless and kind == DOCKER:
        raise ConfigError(
            "Docker runs without root here, and then none but a container's root can write to your folders; steps "
            f"never run as root. Use podman without root (unset DOCKER_HOST), {_ELSEWHERE}."
        )
    return Engine(
        kind=kind,
        version=version["Version"],
        api=version["ApiVersion"],
        url=url,
        rootless=rootless,
        selinux=any("name=selinux" in option for option in options),
        processors=int(facts.get("NCPU") or os.cpu_count() or 1),
    )


@contextmanager
def _podman_service(program: str) -> Iterator[str]:
    """Serve podman's API on a socket of our own, and end that with the block."""
    # The path of a socket may have 107 bytes, so the folder of runs will not do.
    with tempfile.TemporaryDirectory(prefix="ropewalk-podman-") as folder:
        path, log = Path(folder, "api.sock"), Path(folder, "log")
        with log.open("w") as stream:
            service = subprocess.Popen(
                [program, "system", "service", f"--time={_IDLE_SECONDS}", f"{_UNIX}{path}"],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                # Ctrl-C must not end it before the containers are stopped.
                start_new_session=True,
            )
        try:
            _wait_for(path, service, log)
            yield f"{_UNIX}{path}"
        finally:
            service.terminate()
            try:
                service.wait(timeout=5)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


def _wait_for(path: Path, service: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while service.poll() is None and time.monotonic() < end:
        with socket.socket(socket.AF_UNIX) as attempt, contextlib.suppress(OSError):
            attempt.connect(str(path))
            return
        time.sleep(0.02)
    said = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2] or "it said nothing"
    raise ServiceError(
        f"podman does not start its API (`podman system service`): {said}. See `podman info`, use docker "
        f"(DOCKER_HOST={_DOCKER_SOCKET}), {_ELSEWHERE}."
    )


def _reason(error: Exception) -> str:
    """Return the innermost reason; the outer ones repeat it in wrappings."""
    while error.__context__ is not None and isinstance(error.__context__, Exception):
        error = error.__context__
    return str(error).rstrip(".") or type(error).__name__
