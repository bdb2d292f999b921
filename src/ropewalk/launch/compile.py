"""Compiles every pipeline and component to YAML, and compares them with the golden files."""

import difflib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import ConfigError
from ropewalk.launch import catalog
from ropewalk.launch.compare.files import Compared, compare_optional
from ropewalk.launch.profiles import Profile
from ropewalk.launch.profiles.apply import apply_profile, check_steps
from ropewalk.launch.profiles.read import check_profile
from ropewalk.launch.profiles.start import read_example
from ropewalk.launch.readme import make_readme, readme_path
from ropewalk.launch.specification import Specification, read_specification

MAX_BYTES = 64 * 1024
"""Above this a pipeline is hard to review, and far from what a cluster's API server takes."""

PROFILED = "cloud-spot-gpu"
"""The example profile that one golden file is compiled with: of the three it says most."""

_SDK_VERSION = re.compile(r"^sdkVersion: .*$", flags=re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """One pipeline or component, compiled."""

    path: Path
    """Where it belongs below the output folder: training.yaml, components/train_model.yaml."""
    text: str
    """The YAML."""
    specification: Specification
    size: int
    """Bytes of YAML, without what a profile adds."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the YAML."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def compile_everything(profile: Profile = Profile()) -> list[Compiled]:
    """Return every pipeline, then every component, compiled for the cluster that `profile` describes.

    Raises:
        ConfigError: One is larger than MAX_BYTES, or the profile contradicts itself or names a step that is nowhere.
    """
    check_profile(profile)
    found = [(Path(f"{name}.yaml"), pipeline) for name, pipeline in catalog.pipelines().items()]
    found += [(Path("components", f"{name}.yaml"), component) for name, component in catalog.components().items()]
    compiled = [_compile(path, component, profile) for path, component in found]
    check_steps(profile, {task for one in compiled for task in one.specification.tasks})
    too_large = [f"{one.path}: {one.size:,} bytes" for one in compiled if one.size > MAX_BYTES]
    if too_large:
        raise ConfigError(
            f"Compiled YAML may be at most {MAX_BYTES:,} bytes: {'; '.join(too_large)}. "
            "Move code from component.py into the library, and big defaults into files."
        )
    return compiled


def write_everything(compiled: list[Compiled], out: Path) -> None:
    """Write each YAML below the folder `out`."""
    for one in compiled:
        _write(out / one.path, one.text)


def golden_files(compiled: list[Compiled], golden: Path) -> dict[Path, str]:
    """Return what the folder `golden` should hold: each YAML without the SDK's version, and one with a profile.

    Raises:
        ConfigError: ROPEWALK_IMAGE_REGISTRY is set, so the YAML is not the default one.
    """
    if "ROPEWALK_IMAGE_REGISTRY" in os.environ:
        raise ConfigError("Golden files name the default image registry: unset ROPEWALK_IMAGE_REGISTRY first.")
    profiled = _compile(Path(PROFILED, "training.yaml"), catalog.pipeline("training"), read_example(PROFILED))
    return {golden / one.path: _SDK_VERSION.sub("sdkVersion: (any)", one.text) for one in (*compiled, profiled)}


def readmes() -> dict[Path, str]:
    """Return what the README beside each component should hold."""
    return {readme_path(component): make_readme(name, component) for name, component in catalog.components().items()}


def compare_files(wanted: dict[Path, str], golden: Path) -> str:
    """Return a unified diff from what is on disk to `wanted`, "" when they agree; `golden` may hold no other YAML."""
    all_wanted = wanted | dict.fromkeys(_stale_files(wanted, golden), "")
    return "".join(_diff(path, _read(path), text) for path, text in sorted(all_wanted.items()))


def explain_files(wanted: dict[Path, str], golden: Path) -> list[Compared]:
    """Return what changed in meaning in each YAML, from what is on disk to `wanted`, where something did."""
    all_wanted = {path: text for path, text in wanted.items() if path.suffix == ".yaml"}
    all_wanted |= dict.fromkeys(_stale_files(wanted, golden), "")
    pairs = [(path, _read(path), text) for path, text in sorted(all_wanted.items())]
    return [
        compare_optional(old, new, name=path.relative_to(golden).as_posix()) for path, old, new in pairs if old != new
    ]


def update_files(wanted: dict[Path, str], golden: Path) -> list[Path]:
    """Write `wanted`, remove other YAML from `golden`, and return the files that changed."""
    changed = [path for path, text in wanted.items() if _read(path) != text]
    for path in changed:
        _write(path, wanted[path])
    stale = _stale_files(wanted, golden)
    for path in stale:
        path.unlink()
    return changed + stale


def _compile(path: Path, component: object, profile: Profile) -> Compiled:
    compiled = catalog.to_yaml(component)
    plain = apply_profile(compiled, Profile())
    text = plain if profile == Profile() else apply_profile(compiled, profile)
    specification = read_specification(text, source=str(path))
    return Compiled(path=path, text=text, specification=specification, size=len(plain.encode()))


def _stale_files(wanted: dict[Path, str], golden: Path) -> list[Path]:
    return sorted(path for path in golden.rglob("*.yaml") if path not in wanted)


def _diff(path: Path, old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), f"{path} (golden)", f"{path} (now)", lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
