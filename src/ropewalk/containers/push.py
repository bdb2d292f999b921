"""Pushing: images under a registry's name, and the digests that the registry has them by."""

import ipaddress
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ropewalk.containers.build import Built
from ropewalk.containers.engine import PODMAN, Engine


def push_images(engine: Engine, built: list[Built], registry: str, *, say: Callable[[str], None]) -> list[Built]:
    """Push each image under both its tags and return it as `registry` names it.

    A registry on this machine may speak plain http. Credentials are those of `podman login` or `docker login`.

    Raises:
        ImageError: The registry refused, or is not there.
        StorageError: There is no space left.
    """
    pushed = []
    for image in built:
        say(f"{image.family}: push")
        name, _, tag = image.image.rpartition("/")[2].partition(":")
        digest = ""
        for each in (tag.partition("-")[0], tag):
            target = f"{registry}/{name}:{each}"
            engine.run("tag", image.image, target, what=f"The image {image.image} cannot be named {target}")
            digest = _push(engine, target)
        pushed.append(replace(image, image=f"{registry}/{name}:{tag}", digest=digest))
    return pushed


def _push(engine: Engine, target: str) -> str:
    what = (
        f"{target} cannot be pushed. Log in with `{engine.program} login`, and see that the registry is there and "
        "takes pushes"
    )
    if engine.program != PODMAN:
        engine.run("push", target, what=what)
        facts = engine.inspect(target) or {}
        name = target.rpartition(":")[0]
        return next(str(each).partition("@")[2] for each in facts["RepoDigests"] if each.startswith(f"{name}@"))
    with tempfile.NamedTemporaryFile(prefix="ropewalk-digest-") as file:
        options = ["--tls-verify=false"] if is_loopback(target) else []
        engine.run("push", *options, "--digestfile", file.name, target, what=what)
        return Path(file.name).read_text(encoding="utf-8").strip()


def is_loopback(reference: str) -> bool:
    """Tell whether a reference's registry is on this machine: localhost or a loopback address, with or without port."""
    host = reference.partition("/")[0].rpartition(":")[0] or reference.partition("/")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
