"""Pushing to a real registry, Debian's docker-registry, and what images.lock then pins."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.containers.push import push_images
from ropewalk.errors import ImageError
from ropewalk.images_lock import read_images_lock, write_images_lock

pytestmark = pytest.mark.timeout(1500)
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(CONFIG.format(folder=tmp_path / "registry", port=port))
    with subprocess.Popen(
        ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(100):
                with socket.socket() as attempt:
                    if attempt.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"127.0.0.1:{port}/ml"
        finally:
            server.terminate()


def test_a_pushed_image_is_in_the_registry_by_the_digest_that_the_lock_names(
    engine, built, registry, restricted, tmp_path
):
    image = next(image for image in built if image.family == "registry")
    (pushed,) = push_images(engine, [image], registry, say=lambda _: None)
    file = tmp_path / "images.lock"
    write_images_lock(file, version="0", revision="0", images={"registry": (pushed.image, pushed.digest)})
    reference = read_images_lock(file)["registry"]
    address, _, digest = reference.rpartition("@")
    host, _, path = address.rpartition(":")[0].partition("/")
    for name in (digest, address.rpartition(":")[2], address.rpartition(":")[2].partition("-")[0]):
        request = urllib.request.Request(f"http://{host}/v2/{path}/manifests/{name}", headers={"Accept": MANIFESTS})
        with urllib.request.urlopen(request) as answer:
            assert answer.headers["Docker-Content-Digest"] == digest
    tags = {pushed.image, pushed.image.partition("-0.")[0]}
    engine.run("rmi", "--force", *tags, what="remove")


def test_a_registry_that_is_not_there_is_named(engine, built):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{probe.getsockname()[1]}/ml"
        with pytest.raises(ImageError, match=rf"{place}/ropewalk-registry:\S+ cannot be pushed\. Log in with `podman"):
            push_images(engine, [image for image in built if image.family == "registry"], place, say=lambda _: None)
