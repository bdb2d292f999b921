"""Locks: each family's third parties as exact versions with hashes, resolved by uv from names and constraints.txt."""

import subprocess
import tempfile
from pathlib import Path

from ropewalk.containers.families import ACCELERATORS, FAMILIES, Sources
from ropewalk.errors import ConfigError, ImageError

_HEADER = "# Exact versions and hashes of the image `{family}`; made by `make lock`.\n"
_PYTHON = "3.11"
"""What the images run; a wheel of another version would not load."""
_ALONE = ("kfp", "pip")
"""Locked without what they need: kfp's runtime in a step imports nothing else, and pip runs from its wheel."""
_GBDT = {"cpu": "xgboost-cpu", "cuda": "xgboost"}
_OMITTED = {"train": ("alembic", "mako", "sqlalchemy")}
"""Asked for by others but never imported: Optuna's storage in databases, which no search uses."""
_OF_CPU = "+cpu"
"""torch's wheels without CUDA carry a local version; PyTorch's own index has them."""


def lock_images(sources: Sources, find_links: tuple[str, ...] = ()) -> list[Path]:
    """Write every family's lock and return the files that changed.

    Args:
        sources: Ropewalk's checkout.
        find_links: Folders or pages of further wheels, such as torch's for CPUs.

    Raises:
        ConfigError: uv is not installed.
        ImageError: uv finds no versions that go together.
    """
    targets = [(family, kind) for family in FAMILIES for kind in (ACCELERATORS if family == "train" else ("cpu",))]
    changed = []
    for family, accelerator in targets:
        file = sources.lock(family, accelerator)
        text = _lock(sources, family, accelerator, find_links)
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            changed.append(file)
    return changed


def _lock(sources: Sources, family: str, accelerator: str, find_links: tuple[str, ...]) -> str:
    constraints = sources.constraints.read_text(encoding="utf-8")
    asked = sources.requirements(family).read_text(encoding="utf-8")
    if family == "train":
        asked += f"{_GBDT[accelerator]}\n"
        constraints += f"xgboost=={_pinned(constraints, 'xgboost-cpu')}\n"
        if accelerator == "cpu":
            torch = _pinned(constraints, "torch")
            constraints = constraints.replace(f"\ntorch=={torch}\n", f"\ntorch=={torch}{_OF_CPU}\n")
    pages = [part for page in find_links for part in ("--find-links", page)]
    with tempfile.TemporaryDirectory(prefix="ropewalk-lock-") as folder:
        names, versions = Path(folder, "requirements.in"), Path(folder, "constraints.txt")
        versions.write_text(constraints, encoding="utf-8")
        names.write_text(asked, encoding="utf-8")
        omitted = [part for name in _OMITTED.get(family, ()) for part in ("--no-emit-package", name)]
        resolved = _compile(names, versions, *omitted, *pages)
        names.write_text("\n".join(_ALONE), encoding="utf-8")
        alone = _compile(names, versions, "--no-deps", *pages)
    return _HEADER.format(family=family) + resolved + alone


def _compile(names: Path, versions: Path, *options: str) -> str:
    command = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes"]
    target = ["--python-version", _PYTHON, "--python-platform", "x86_64-manylinux_2_28", "--constraint", str(versions)]
    try:
        ended = subprocess.run([*command, *target, *options, str(names)], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigError("uv, which resolves locks, is not installed. Run: pip install 'ropewalk[images]'.") from error
    if ended.returncode:
        raise ImageError(
            f"The lock cannot be made: {ended.stderr.strip()}\nMake constraints.txt name versions that exist and go "
            "together; where torch is what is missing, give --find-links https://download.pytorch.org/whl/torch."
        )
    return ended.stdout


def _pinned(constraints: str, name: str) -> str:
    for line in constraints.splitlines():
        found, _, version = line.partition("==")
        if found == name:
            return version
    raise ConfigError(f"constraints.txt does not pin {name}. Run `make lock`.")
