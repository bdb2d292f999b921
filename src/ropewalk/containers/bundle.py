"""A bundle: one folder with all that a site without a network needs to run Ropewalk, and its check."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import ropewalk
from ropewalk.artifacts import disk_errors
from ropewalk.containers.build import Built
from ropewalk.containers.engine import DOCKER, Engine
from ropewalk.containers.families import Sources
from ropewalk.errors import ConfigError, ImageError, nearest
from ropewalk.images_lock import IMAGES_LOCK, write_images_lock

SUMS = "SHA256SUMS"
_READ_ME = "README.md"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def make_bundle(
    engine: Engine, sources: Sources, built: list[Built], out: Path, *, revision: str, say: Callable[[str], None]
) -> Path:
    """Write the bundle to the folder `out`, which appears only when it is whole.

    Args:
        engine: Holds the images.
        sources: The checkout that the images were built from; holds the library's wheel and the SBOMs.
        built: The images.
        out: Folder that does not exist yet.
        revision: Commit of the sources.
        say: Told what is being done.

    Raises:
        ConfigError: `out` exists, or the engine is not podman, which alone writes OCI archives.
        ImageError: An image, wheel or SBOM cannot be had.
        StorageError: The disk is full.
    """
    if engine.program == DOCKER:
        raise ConfigError("Docker does not write OCI archives. Install podman (`sudo apt-get install podman`).")
    if out.exists():
        raise ConfigError(f"{out} exists. Name a folder that does not, with --out.")
    draft = out.with_name(f".{out.name}.partial")
    with disk_errors(out):
        shutil.rmtree(draft, ignore_errors=True)
        for folder in ("images", "sboms", "wheels"):
            (draft / folder).mkdir(parents=True)
        images = {}
        for image in built:
            say(f"{image.family}: archive")
            images[image.family] = (image.image, _archive(engine, image, draft / "images"))
            shutil.copy(sources.built / "sboms" / f"{image.family}.cdx.json", draft / "sboms")
        write_images_lock(draft / IMAGES_LOCK, version=ropewalk.__version__, revision=revision, images=images)
        say("wheels")
        _collect_wheels(sources, draft / "wheels")
        say("pipelines")
        _compile(draft / "pipelines")
        for profile in sorted((sources.root / "profiles").glob("*.yaml")):
            (draft / "profiles").mkdir(exist_ok=True)
            shutil.copy(profile, draft / "profiles")
        (draft / _READ_ME).write_text(_describe(images), encoding="utf-8")
        say("checksums")
        files = sorted(path for path in draft.rglob("*") if path.is_file())
        lines = [f"{_digest(path)}  {path.relative_to(draft).as_posix()}\n" for path in files]
        (draft / SUMS).write_text("".join(lines), encoding="utf-8")
        draft.rename(out)
    return out


def verify_bundle(folder: Path) -> int:
    """Return how many files the bundle has, each of them as it was written.

    Raises:
        ConfigError: The folder is no bundle.
        ImageError: Files are missing, altered or too many; names each.
    """
    sums = folder / SUMS
    if not sums.is_file():
        raise ConfigError(f"{folder} is no bundle: it has no {SUMS}. Name the folder that `ropewalk bundle` wrote.")
    wanted = {}
    for number, line in enumerate(sums.read_text(encoding="utf-8").splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ImageError(f"{sums}, line {number}: {line!r} is no checksum and path. Copy the bundle again.")
        wanted[found[2]] = found[1]
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {SUMS}
    problems = [f"{name}: missing{nearest(name, present - wanted.keys())}" for name in wanted.keys() - present]
    problems += [f"{name}: not in {SUMS}" for name in present - wanted.keys()]
    problems += [
        f"{name}: altered" for name in sorted(wanted.keys() & present) if _digest(folder / name) != wanted[name]
    ]
    if problems or not wanted:
        raise ImageError(
            f"The bundle {folder} is not what was written:\n  - "
            + "\n  - ".join(sorted(problems) or [f"{SUMS} is empty"])
            + "\nCopy it again from where it was made, and load nothing of it until this check passes."
        )
    return len(wanted)


def _archive(engine: Engine, image: Built, folder: Path) -> str:
    """Write the image as an OCI archive and return the digest that a registry will have it by."""
    file = folder / f"ropewalk-{image.family}.oci.tar"
    what = f"The archive of {image.image} cannot be written"
    engine.run("save", "--quiet", "--format", "oci-archive", "--output", str(file), image.image, what=what)
    with tarfile.open(file) as archive:
        index = archive.extractfile("index.json")
        if index is None:
            raise ImageError(f"{what}: it has no index.json. Use podman 4 or newer.")
        return str(json.load(index)["manifests"][0]["digest"])


def _collect_wheels(sources: Sources, folder: Path) -> None:
    """Fetch the library with all that it needs, in the versions that were tested, for this machine's Python."""
    (library,) = sources.library.glob("*.whl")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    ended = subprocess.run(
        [*command, "--wheel-dir", str(folder), "--constraint", str(sources.constraints), str(library)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        tail = "\n".join(ended.stderr.strip().splitlines()[-12:])
        raise ImageError(f"The library's wheels cannot be had. Give pip an index that has them. It ended with:\n{tail}")


def _compile(folder: Path) -> None:
    # In a process of its own: a registry in the environment must not enter the bundle's YAML.
    script = (
        "import sys; from pathlib import Path; from ropewalk.launch.compile import compile_everything as c, "
        "write_everything as w; w(c(), Path(sys.argv[1]))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "ROPEWALK_IMAGE_REGISTRY"}
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script, folder], capture_output=True, text=True, check=False, env=environment
    )
    if ended.returncode:
        raise ImageError(f"The pipelines cannot be compiled: {ended.stderr.strip().splitlines()[-1]}")


def _describe(images: dict[str, tuple[str, str]]) -> str:
    text = (resources.files("ropewalk.containers") / "bundle.md").read_text(encoding="utf-8")
    version = sys.version_info
    rows = [f"| `images/ropewalk-{name}.oci.tar` | `{each[0]}` | `{each[1]}` |" for name, each in images.items()]
    return (
        text.replace("@VERSION@", ropewalk.__version__)
        .replace("@PYTHON@", f"{version.major}.{version.minor}")
        .replace("@IMAGES@", "\n".join(rows))
    )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
