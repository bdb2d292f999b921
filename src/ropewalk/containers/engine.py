"""The program that builds and holds images: podman, or docker."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.errors import ConfigError, ImageError, ServiceError, StorageError

PODMAN = "podman"
DOCKER = "docker"
VARIABLE = "ROPEWALK_CONTAINER_ENGINE"
_NO_SPACE = ("no space left on device", "disk quota exceeded")
_TAIL_LINES = 12


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A container program that answers."""

    program: str
    """podman or docker."""

    def run(self, *arguments: str, what: str) -> str:
        """Run `program arguments` and return what it prints.

        Raises:
            StorageError: There is no space left for images.
            ImageError: It failed; begins with `what`.
        """
        return run_program([self.program, *arguments], what=what)

    def inspect(self, image: str) -> dict[str, Any] | None:
        """Return what is known of a local image, None when there is no such image."""
        ended = subprocess.run([self.program, "image", "inspect", image], capture_output=True, text=True, check=False)
        return None if ended.returncode else dict(json.loads(ended.stdout)[0])


def find_engine() -> Engine:
    """Return the engine that $ROPEWALK_CONTAINER_ENGINE names, else podman where it is installed, else docker.

    Raises:
        ConfigError: Neither is installed, or the variable names something else.
        ServiceError: It is installed and does not work.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", PODMAN, DOCKER):
        raise ConfigError(
            f"{VARIABLE}={wanted!r}: images are built with podman or docker. Set one of them, or unset it."
        )
    program = next((name for name in ([wanted] if wanted else [PODMAN, DOCKER]) if shutil.which(name)), "")
    if not program:
        raise ConfigError(
            f"{wanted or 'Neither podman nor docker'} is {'not ' if wanted else ''}installed here. Install one: "
            "`sudo apt-get install podman buildah`, `sudo dnf install podman`, or https://docs.docker.com/get-docker."
        )
    ended = subprocess.run([program, "info"], capture_output=True, text=True, check=False)
    if ended.returncode:
        hint = (
            "Start it with `sudo systemctl start docker` or Docker Desktop, or install podman, which needs no service."
            if program == DOCKER
            else "`podman info` says more; `podman system migrate` repairs what an update left behind."
        )
        raise ServiceError(f"{program} is installed but does not work: {_last_line(ended.stderr)}. {hint}")
    return Engine(program=program)


def run_program(command: list[str], *, what: str, log: Path | None = None) -> str:
    """Run `command` and return its standard output, which also goes to the file `log`.

    Raises:
        StorageError: There is no space left.
        ImageError: It failed; begins with `what`, ends with its last lines.
    """
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(ended.stdout, encoding="utf-8")
    if ended.returncode == 0:
        return ended.stdout
    if any(words in ended.stdout.lower() for words in _NO_SPACE):
        raise StorageError(
            f"{what}: no space is left for images. Free some (`{command[0]} image prune`, `{command[0]} system df` "
            "shows what takes how much) and run again; what was finished is kept."
        )
    tail = "\n".join(ended.stdout.strip().splitlines()[-_TAIL_LINES:])
    where = f" All of its output is in {log}." if log else ""
    raise ImageError(f"{what}: {command[0]} ended with code {ended.returncode}.{where} Its last lines:\n{tail}")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2].rstrip(".") or "it said nothing"
