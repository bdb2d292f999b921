"""Which container program is used, and what is said when there is none, or when it fails."""

from pathlib import Path

import pytest

from ropewalk.containers.engine import Engine, find_engine, run_program
from ropewalk.errors import ConfigError, ImageError, ServiceError, StorageError


def _program(folder: Path, name: str, script: str) -> None:
    """Write a program that does what the real one does in this case: print and end."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_without_podman_and_docker_it_says_how_to_install_one(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"Neither podman nor docker is installed here\. .*apt-get install podman"):
        find_engine()


def test_a_service_that_does_not_run_is_named_with_how_to_start_it(tmp_path, monkeypatch):
    _program(tmp_path, "docker", "echo Cannot connect to the Docker daemon. >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceError, match=r"docker is installed but does not work: Cannot connect .*systemctl start"):
        find_engine()


def test_podman_goes_before_docker_unless_the_other_is_asked_for(tmp_path, monkeypatch):
    _program(tmp_path, "docker", "exit 0")
    _program(tmp_path, "podman", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_engine() == Engine(program="podman")
    monkeypatch.setenv("ROPEWALK_CONTAINER_ENGINE", "docker")
    assert find_engine() == Engine(program="docker")
    monkeypatch.setenv("ROPEWALK_CONTAINER_ENGINE", "dokcer")
    with pytest.raises(ConfigError, match="dokcer"):
        find_engine()


def test_a_failure_shows_its_last_lines_and_where_all_of_them_are(tmp_path):
    log = tmp_path / "logs" / "image.log"
    with pytest.raises(ImageError, match=r"(?s)^It cannot be built: sh ended with code 3.*image\.log.*line 40$"):
        run_program(["sh", "-c", "seq -f 'line %g' 40; exit 3"], what="It cannot be built", log=log)
    assert log.read_text().startswith("line 1\n")


def test_a_full_disk_is_told_as_such():
    with pytest.raises(StorageError, match="no space is left for images"):
        run_program(["sh", "-c", "cat /dev/zero > /dev/full"], what="The image 'data' cannot be built")
