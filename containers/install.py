"""What the build stages of the images run, with Python alone: `install.py dependencies|library FILE`.

The same inputs give the same files, byte for byte: versions are locked, wheels were checked against their hashes when
they were fetched, nothing compiled depends on the time or on the order of work. What no step uses is left out, as
`unused.txt`, `uncompiled.txt` and `stripped.txt` say.
"""

import fnmatch
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WHEELS = Path("/wheels")
ENVIRONMENT = Path("/opt/ropewalk")
LIBRARY = Path("/opt/library")
"""The library alone, laid out from the root: the last and smallest layer of an image."""

COMPILERS = 4
"""Processes that compile. A constant: which files share a process may show in what is compiled."""


def main(what: str, file: Path) -> None:
    """Install the locked requirements, or the library's wheel, in `file`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ENVIRONMENT], check=True)
    for script in ENVIRONMENT.glob("bin/[aA]ctivate*"):
        script.unlink()
    if what == "dependencies":
        _pip(*_names(file))
        packages = _packages(ENVIRONMENT)
        for path in _matching(packages, "unused.txt"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if libraries := _matching(packages, "stripped.txt"):
            subprocess.run(["strip", "--strip-unneeded", *libraries], check=True)
        _compile(packages)
    else:
        _pip("--root", str(LIBRARY), str(file))
        _compile(_packages(LIBRARY / ENVIRONMENT.relative_to("/")))


def _pip(*arguments: str) -> None:
    # The base image needs no pip: a wheel of pip runs as it is. The lock names all there is, so pip resolves nothing.
    pip = next(WHEELS.glob("pip-*.whl")) / "pip"
    command = [sys.executable, pip, "--python", ENVIRONMENT / "bin" / "python3", "--disable-pip-version-check"]
    options = ["--quiet", "--no-index", "--find-links", WHEELS, "--no-deps", "--no-compile", "--no-cache-dir"]
    quiet = ["--root-user-action=ignore", "--no-warn-script-location"]
    subprocess.run([*command, "install", *options, *quiet, *arguments], check=True)
    # It says where the library's wheel lay.
    for record in Path("/opt").rglob("direct_url.json"):
        record.unlink()


def _names(lock: Path) -> list[str]:
    """Return what is locked, but pip, without hashes: those were checked before, and what was built then has others."""
    names = [line.split()[0] for line in lock.read_text().splitlines() if line[:1].isalnum()]
    return [name for name in names if not name.startswith("pip==")]


def _packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python3*/site-packages")
    return found


def _matching(packages: Path, rules: str) -> list[Path]:
    """Return what the patterns in the file `rules` cover, less what those that begin with "!" cover."""
    lines = [line for line in (HERE / rules).read_text().splitlines() if line and not line.startswith("#")]
    kept = [line[1:] for line in lines if line.startswith("!")]
    taken = [line for line in lines if not line.startswith("!")]
    names = {path: path.relative_to(packages).as_posix() for path in sorted(packages.rglob("*"))}
    return [path for path, name in names.items() if _covers(taken, name) and not _covers(kept, name)]


def _covers(patterns: list[str], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _compile(packages: Path) -> None:
    """Compile every module, valid whatever the time of its source: Python then never checks, nor writes."""
    left = set(_matching(packages, "uncompiled.txt"))
    modules = [module for module in sorted(packages.rglob("*.py")) if module not in left]
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-i", "-"]
    if packages.is_relative_to(LIBRARY):
        command += ["-s", LIBRARY, "-p", "/"]
    started = []
    for number in range(COMPILERS):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONHASHSEED": "0"}
        )
        process.stdin.write("".join(f"{module}\n" for module in modules[number::COMPILERS]).encode())
        process.stdin.close()
        started.append(process)
    # Some distributions carry templates that are no Python: they stay uncompiled, as with pip.
    for process in started:
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
