"""Building: one image for each family, from locked wheels, labelled with what it was made of and by no chance."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ropewalk
from ropewalk.containers.engine import PODMAN, Engine, run_program
from ropewalk.containers.families import Sources
from ropewalk.containers.wheels import EPOCH, fetch_wheels, make_library
from ropewalk.errors import ImageError

BASE_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
VERSION_LABEL = "org.opencontainers.image.version"
REVISION_LABEL = "org.opencontainers.image.revision"
_LABEL = "org.opencontainers.image."


@dataclass(frozen=True, kw_only=True)
class Built:
    """One image that was built here."""

    family: str
    image: str
    """Registry, name and tag: the package's version and the commit."""
    digest: str
    """sha256:..., the digest of the image's manifest; its id where the engine has none until it is pushed."""
    size: int
    """Bytes, unpacked, with the base image."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all images of one build share."""

    base: str = BASE_IMAGE
    """Image to build on: Debian-like, with Python 3.11."""
    accelerator: str = "cpu"
    """What the image `train` computes with: cpu or cuda."""
    registry: str
    """What comes before /ropewalk-<family> in an image's name."""
    revision: str
    """Commit of the sources, "-dirty" behind it when they differ from it, or "unknown"."""
    base_digest: str = ""
    """Digest of the base image, "" where it has none."""

    @property
    def version_tag(self) -> str:
        """The tag that compiled YAML names."""
        return ropewalk.__version__

    @property
    def tag(self) -> str:
        """The tag that names one build: version and commit."""
        commit, dash, dirty = self.revision.partition("-")
        return f"{self.version_tag}-{commit[:12]}{dash}{dirty}"

    def name(self, family: str, tag: str) -> str:
        """Return the reference of a family's image."""
        return f"{self.registry}/ropewalk-{family}:{tag}"


def make_plan(engine: Engine, sources: Sources, *, base: str, accelerator: str, registry: str) -> Plan:
    """Return what is to be built, with the base image pulled where it is not here.

    Raises:
        ImageError: The base image cannot be had.
    """
    facts = engine.inspect(base)
    if facts is None:
        engine.run(
            "pull",
            base,
            what=f"The base image {base} cannot be pulled. Name one that can be had with --base, such as a mirror's",
        )
        facts = engine.inspect(base) or {}
    return Plan(
        base=base,
        accelerator=accelerator,
        registry=registry,
        revision=read_revision(sources.root),
        base_digest=str(facts.get("Digest") or facts.get("Id") or ""),
    )


def build_images(
    engine: Engine, sources: Sources, families: tuple[str, ...], plan: Plan, *, say: Callable[[str], None]
) -> list[Built]:
    """Fetch wheels and build the image of each family; a name is given to an image only when it is whole.

    Raises:
        ConfigError: A lock or what builds the library is missing.
        ImageError: A wheel cannot be had, or a build failed.
        StorageError: There is no space left.
    """
    say("wheel of the library")
    make_library(sources)
    built = []
    # While one image is built, the next ones' wheels are on their way.
    with ThreadPoolExecutor(max_workers=2) as fetching:
        fetched = {family: fetching.submit(fetch_wheels, sources, family, plan.accelerator) for family in families}
        for family in families:
            say(f"{family}: wheels")
            fetched[family].result()
            say(f"{family}: image")
            log = sources.built / "logs" / f"image-{family}.log"
            command = build_command(engine, sources, family, plan)
            run_program(command, what=f"The image {family!r} cannot be built", log=log)
            built.append(inspect_built(engine, family, plan.name(family, plan.tag)))
    return built


def build_command(engine: Engine, sources: Sources, family: str, plan: Plan) -> list[str]:
    """Return the command that builds the image of `family`; pure."""
    labels = {
        "title": f"ropewalk-{family}",
        "version": plan.version_tag,
        "revision": plan.revision,
        "base.name": plan.base,
        "base.digest": plan.base_digest,
        "licenses": "Apache-2.0",
        "description": f"Ropewalk's steps of the family {family!r}",
    }
    arguments = {"BASE_IMAGE": plan.base}
    if family == "train":
        arguments["ACCELERATOR"] = plan.accelerator
    # Files of equal dates make equal layers; podman dates them itself, BuildKit is told by this variable.
    dates = ["--timestamp", str(EPOCH), "--layers"] if engine.program == PODMAN else []
    if engine.program != PODMAN:
        arguments["SOURCE_DATE_EPOCH"] = str(EPOCH)
    command = [engine.program, "build", *dates, "--file", str(sources.containerfile(family))]
    command += [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    command += [part for name, value in labels.items() for part in ("--label", f"{_LABEL}{name}={value}")]
    command += [part for tag in (plan.version_tag, plan.tag) for part in ("--tag", plan.name(family, tag))]
    return [*command, str(sources.root)]


def inspect_built(engine: Engine, family: str, image: str) -> Built:
    """Return what is known of the local image `image`.

    Raises:
        ImageError: There is no such image, or it is of another version than this Ropewalk.
    """
    facts = engine.inspect(image)
    if facts is None:
        raise ImageError(f"{engine.program} has no image {image}. Build it with `make images`.")
    _check_version(image, facts)
    return Built(
        family=family,
        image=image,
        digest=f"sha256:{str(facts.get('Digest') or facts['Id']).removeprefix('sha256:')}",
        size=int(facts["Size"]),
    )


def _check_version(image: str, facts: dict[str, Any]) -> None:
    labels = facts.get("Labels") or (facts.get("Config") or {}).get("Labels") or {}
    found = labels.get(VERSION_LABEL, "none")
    if found != ropewalk.__version__:
        raise ImageError(
            f"The image {image} holds Ropewalk {found}, this is Ropewalk {ropewalk.__version__}. Build the images of "
            "this version with `make images`, or use the Ropewalk of that one."
        )


def read_revision(root: Path) -> str:
    """Return the commit of the checkout, "-dirty" behind it when files that git knows differ, else "unknown"."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return ended.stdout.strip() or "unknown"
