"""Checks, before a run, that its images are here and of the version that the YAML was compiled for."""

import contextlib
import re
from collections.abc import Iterable

import docker
from docker.errors import ImageNotFound

from ropewalk.errors import ConfigError
from ropewalk.launch.containers.engine import Engine

VERSION_LABEL = "org.opencontainers.image.version"
_OURS = re.compile(r"(?:^|/)ropewalk-[^/:@]+")
_TAG = re.compile(r":([^:/@]+)(?:@|$)")


def check_images(engine: Engine, names: Iterable[str]) -> dict[str, str]:
    """Return the id of each image, by its name in the YAML.

    Raises:
        ConfigError: An image is not here, or is of another version than the YAML.
    """
    problems, found = [], {}
    with contextlib.closing(engine.connect()) as client:
        for name in sorted(set(names)):
            try:
                image = client.images.get(name)
            except ImageNotFound:
                problems.append(_missing(client, engine, name))
                continue
            found[name] = str(image.id)
            problems += _other_version(name, image.labels.get(VERSION_LABEL, ""))
    if problems:
        raise ConfigError(
            "The images are not what the pipeline needs; nothing was started:\n  - " + "\n  - ".join(problems)
        )
    return found


def _missing(client: docker.DockerClient, engine: Engine, name: str) -> str:
    wanted = name.rpartition("/")[2]
    alike = sorted(tag for image in client.images.list() for tag in image.tags if tag.rpartition("/")[2] == wanted)
    if alike:
        return (
            f"{engine.kind} has no image {name}, but has {alike[0]}. Compile with its registry: set "
            f"ROPEWALK_IMAGE_REGISTRY={alike[0].rpartition('/')[0]}."
        )
    return (
        f"{engine.kind} has no image {name}. Build it with `make images` in Ropewalk's sources, or fetch it with "
        f"`{engine.kind} pull {name}`."
    )


def _other_version(name: str, version: str) -> list[str]:
    tag = _TAG.search(name)
    if not _OURS.search(name) or tag is None or _agree(tag[1], version):
        return []
    return [
        f"The pipeline was compiled for version {tag[1]}, but the image {name} holds version "
        f"{version or '(it does not say)'}. Build the image again with `make images`, or compile the pipeline with the "
        "version that the image holds."
    ]


def _agree(tag: str, version: str) -> bool:
    """Tell whether `tag` is `version`, with or without the commit behind it."""
    return bool(version) and (tag == version or tag.startswith((f"{version}-", f"{version}_")))
