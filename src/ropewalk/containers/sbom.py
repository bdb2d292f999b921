"""SBOM: what an image holds, as CycloneDX: Python distributions as they are installed in it, and Debian packages."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ropewalk.artifacts import disk_errors
from ropewalk.containers.build import Built
from ropewalk.containers.engine import Engine, run_program
from ropewalk.errors import ConfigError

_TOOL = "cyclonedx_py"
_PYTHON = "/opt/ropewalk/bin/python3"
_RUN = (
    "import runpy, sys; sys.path.append('/sbom'); "
    "sys.argv = ['cyclonedx-py', 'environment', '--output-reproducible', '--output-format', 'JSON', '--spec-version', "
    f"'1.6', '{_PYTHON}']; runpy.run_module('{_TOOL}', run_name='__main__')"
)
_DPKG = "${Package}\\t${Version}\\t${Architecture}\\n"


def write_sbom(engine: Engine, image: Built, file: Path) -> Path:
    """Write the SBOM of a local image and return its path; the tool runs in the image, without network.

    Raises:
        ConfigError: cyclonedx-bom is not installed.
        ImageError: The image does not run.
    """
    found = find_spec(_TOOL)
    if found is None or not found.submodule_search_locations:
        raise ConfigError("cyclonedx-bom, which writes SBOMs, is not installed. Run: pip install 'ropewalk[images]'.")
    packages = Path(next(iter(found.submodule_search_locations))).parent
    what = f"The SBOM of {image.image} cannot be made"
    container = [engine.program, "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp"]
    mount = ["--volume", f"{packages}:/sbom:ro"]
    told = run_program([*container, *mount, image.image, _PYTHON, "-c", _RUN], what=what)
    debian = run_program([*container, image.image, "dpkg-query", "--show", f"--showformat={_DPKG}"], what=what)
    bom = json.loads(told[told.index("{") :])
    bom["metadata"]["component"] = {
        "type": "container",
        "bom-ref": "image",
        "name": image.image.rpartition(":")[0],
        "version": image.image.rpartition(":")[2],
    }
    bom["components"] += [_debian(*line.split("\t")) for line in debian.splitlines()]
    with disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(bom, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return file


def _debian(name: str, version: str, architecture: str) -> dict[str, Any]:
    from packageurl import PackageURL

    purl = PackageURL("deb", "debian", name, version, {"arch": architecture}).to_string()
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
