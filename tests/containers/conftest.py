"""The images, built once for all tests, as a user builds them; podman keeps what did not change for the next time."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ropewalk
from ropewalk.containers.build import Built, inspect_built
from ropewalk.containers.engine import Engine, find_engine
from ropewalk.containers.families import FAMILIES, Sources

ROOT = Path(__file__).parents[2]
BASE = "localhost/python-base:bookworm"
REGISTRY = "ghcr.io/ropewalk"
UNNEEDED = (
    *("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man"),
    *("var/cache/apt", "var/cache/debconf", "var/lib/apt/lists", "var/log"),
)
RESTRICTED = (
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--read-only",
    "--tmpfs=/tmp",
    "--network=none",
    "--user=10001:0",
)
"""What the Pod Security level "restricted" asks for, with seccomp as it is by default, and more: nothing to write to or
talk to."""


@pytest.fixture(scope="session")
def engine() -> Engine:
    return find_engine()


@pytest.fixture(scope="session")
def base(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an image with Python on Debian: $ROPEWALK_TEST_BASE, else one made of Debian's packages."""
    given = os.environ.get("ROPEWALK_TEST_BASE", "")
    if given or engine.inspect(BASE):
        return given or BASE
    root = tmp_path_factory.mktemp("debian") / "root"
    packages = "python3,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root], check=True)
    for name in UNNEEDED:
        for path in (root / name).iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    # The official images of Python come without compiled files, too.
    for compiled in sorted((root / "usr" / "lib").rglob("__pycache__")):
        shutil.rmtree(compiled)
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run([engine.program, "import", "--quiet", "-", BASE], stdin=packed.stdout, check=True)
    shutil.rmtree(root)
    return BASE


@pytest.fixture(scope="session")
def ropewalk_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `ropewalk ...` as a user does."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from ropewalk.cli import main; main()", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **options)  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def built(engine: Engine, base: str, ropewalk_command: Callable[..., subprocess.CompletedProcess[str]]) -> list[Built]:
    """Build every image, under the names that compiled YAML has, with SBOMs and images.lock."""
    ended = ropewalk_command("images", "build", "--base", base, "--registry", REGISTRY)
    assert ended.returncode == 0, ended.stderr
    names = {family: f"{REGISTRY}/ropewalk-{family}:{ropewalk.__version__}" for family in FAMILIES}
    return [inspect_built(engine, family, name) for family, name in names.items()]


@pytest.fixture(scope="session")
def images(built: list[Built]) -> dict[str, str]:
    """Return family to image."""
    return {image.family: image.image for image in built}


@pytest.fixture(scope="session")
def sources() -> Sources:
    return Sources(root=ROOT)


@pytest.fixture(scope="session")
def restricted(engine: Engine) -> Callable[..., str]:
    """Return a function that runs a command in an image as a strict cluster would, and returns what it prints."""

    def run(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        return engine.run("run", "--rm", *RESTRICTED, *options, image, *command, what=f"{image} {command}")

    return run


@pytest.fixture
def copied(tmp_path: Path) -> Sources:
    """Return the sources that images are built from, to be changed, with the wheels that are fetched already."""
    root = tmp_path / "ropewalk"
    shutil.copytree(
        ROOT,
        root,
        ignore=lambda folder, names: (
            [
                name
                for name in names
                if Path(folder, name) == ROOT / name and name in (".venv", ".git", "build", "demo", "images.lock")
            ]
            + [name for name in names if name == "__pycache__"]
        ),
    )
    if (ROOT / "build" / "wheels").is_dir():
        shutil.copytree(ROOT / "build" / "wheels", root / "build" / "wheels", copy_function=os.link)
    return Sources(root=root)
