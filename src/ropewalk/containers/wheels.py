"""Wheels: the library's, made here, and those of a family's lock, fetched and checked against its hashes."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ropewalk.artifacts import disk_errors
from ropewalk.containers.families import PACKAGED, Sources
from ropewalk.errors import ConfigError, ImageError

EPOCH = 315532800
"""1980-01-01, the earliest time that a zip archive can hold: what files in wheels and images are dated."""

_STAMP = "lock.sha256"
_SOURCE_ONLY = ("antlr4-python3-runtime",)
"""Published without a wheel; pure Python, so that one made here runs anywhere."""
_TORCH = "torch"
_TORCH_CPU = "https://download.pytorch.org/whl/cpu"
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)] + [
    f"{name}_x86_64" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux")
]


def make_library(sources: Sources) -> Path:
    """Build the library's wheel in `sources.library` and return it; the same source gives the same bytes.

    Raises:
        ConfigError: What builds it is not installed.
        ImageError: It cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="ropewalk-wheel-") as temporary:
        # From a copy: what an earlier build left in the checkout would be packed too.
        copy, out = Path(temporary, "source"), Path(temporary, "out")
        copy.mkdir()
        for name in PACKAGED:
            if (sources.root / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(sources.root / name, copy / name, ignore=ignored)
            else:
                shutil.copy(sources.root / name, copy / name)
        _run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)],
            "The library's wheel cannot be built. Run: pip install 'ropewalk[images]'.",
            env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
        )
        (made,) = out.glob("*.whl")
        with _renewed(sources.library) as folder:
            shutil.copy(made, folder / made.name)
    return sources.library / made.name


def fetch_wheels(sources: Sources, family: str, accelerator: str) -> Path:
    """Bring `sources.wheels(family)` to what its lock names, and return that folder; pip's own settings apply.

    Raises:
        ConfigError: There is no lock.
        ImageError: A wheel is nowhere, or is not the one that was locked.
    """
    lock, wheels = sources.lock(family, accelerator), sources.wheels(family)
    if not lock.is_file():
        raise ConfigError(f"There is no lock {lock}. Run `make lock`.")
    text = lock.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    if (wheels / _STAMP).is_file() and (wheels / _STAMP).read_text() == digest:
        return wheels
    with _renewed(wheels) as folder:
        entries = dict(_entries(text))
        built = {name: entries.pop(name) for name in _SOURCE_ONLY if name in entries}
        torch = entries.pop(_TORCH, "")
        _pip(["wheel", "--no-build-isolation"], built.values(), folder)
        _pip(_download(), entries.values(), folder)
        _fetch_torch(torch, folder)
        (folder / _STAMP).write_text(digest)
    return wheels


def _entries(lock: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each locked distribution."""
    for entry in re.split(r"\n(?=\w)", lock):
        name = re.match(r"[\w.-]+", entry)
        if name and not entry.startswith("#"):
            yield name[0], entry


def _fetch_torch(entry: str, folder: Path) -> None:
    if not entry:
        return
    try:
        _pip(_download(), [entry], folder)
    except ImageError:
        # Wheels without CUDA are not on the package index; a site of its own may well have them.
        _pip([*_download(), "--index-url", _TORCH_CPU], [entry], folder)


def _download() -> list[str]:
    platforms = [part for platform in _PLATFORMS for part in ("--platform", platform)]
    return ["download", "--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", *platforms]


def _pip(command: list[str], entries: Iterable[str], folder: Path) -> None:
    text = "\n".join(entries)
    if not text:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write(text)
        lock.flush()
        place = "--wheel-dir" if command[0] == "wheel" else "--dest"
        options = ["--quiet", "--no-deps", "--require-hashes", "--requirement", lock.name, place, str(folder)]
        _run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", *command, *options],
            "The locked wheels cannot be had. Give pip an index or folder that has them (PIP_INDEX_URL, "
            "PIP_FIND_LINKS); where a hash differs, the index holds another file than the one that was locked.",
        )


def _run(command: list[str], advice: str, env: dict[str, str] | None = None) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-12:]
        raise ImageError(f"{advice} It ended with:\n" + "\n".join(said))


@contextmanager
def _renewed(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when all went well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(folder), tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        fresh = Path(temporary, folder.name)
        fresh.mkdir()
        yield fresh
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
