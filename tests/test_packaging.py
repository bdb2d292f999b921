"""What is installed is what was written: the wheel, built from a copy, holds all of Ropewalk and nothing else."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ["src", "components", "pipelines", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"]

IMPORT = """
import importlib.metadata
from pathlib import Path

import ropewalk
from ropewalk.cli import main
from ropewalk.components import train_model
from ropewalk.launch import catalog
from ropewalk.pipelines import training

assert Path(ropewalk.__file__).is_relative_to(Path(sys.argv[1])), ropewalk.__file__
assert importlib.metadata.version("ropewalk") == ropewalk.__version__
assert "train-model" in catalog.to_yaml(training)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a copy of what is packaged, and of tests, which must not be."""
    source = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)
    (source / "tests").mkdir()
    (source / "tests" / "conftest.py").touch()
    return source


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    ended = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_source_file(names):
    expected = {file.relative_to(ROOT / "src").as_posix() for file in (ROOT / "src").rglob("*.py")}
    for part in ("components", "pipelines"):
        expected |= {f"ropewalk/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / part).rglob("*.py")}
    assert expected - names == set()


def test_the_wheel_holds_the_files_that_are_no_modules(names):
    expected = {"ropewalk/py.typed", "ropewalk/cluster/rbac-training.yaml", "ropewalk/cluster/rbac-tuning.yaml"}
    expected |= {
        f"ropewalk/report/{file.name}"
        for file in (ROOT / "src/ropewalk/report").iterdir()
        if file.suffix in (".jinja", ".css")
    }
    expected |= {f"ropewalk/{file.relative_to(ROOT).as_posix()}" for file in (ROOT / "components").glob("*/README.md")}
    expected |= {f"ropewalk/launch/profiles/examples/{file.name}" for file in (ROOT / "profiles").glob("*.yaml")}
    assert len(expected) > 2
    assert expected - names == set()


def test_the_wheel_holds_nothing_else(names):
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"ropewalk"}
    assert [name for name in names if "test" in name or name.endswith((".pyc", ".ipynb"))] == []


def test_the_wheel_passes_check_wheel_contents(wheel):
    ended = subprocess.run(
        [sys.executable, "-m", "check_wheel_contents", str(wheel)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_the_installed_wheel_works_from_any_folder(wheel, tmp_path):
    target = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "ropewalk").mkdir(parents=True)
    ended = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys\n{IMPORT}", str(target)],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_an_editable_install_finds_the_mapped_folders_from_any_folder(source, tmp_path):
    prefix, elsewhere = tmp_path / "prefix", tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", "--prefix", str(prefix)]
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--editable", str(source)], capture_output=True, text=True
    )
    assert installed.returncode == 0, installed.stderr
    (site_packages,) = prefix.glob("lib/python*/site-packages")
    # Without -S the editable install that runs this test would answer first; its libraries come in as a plain path.
    paths = (
        f"import site, sys\nsite.addsitedir({str(site_packages)!r})\nsys.path.append({sysconfig.get_path('purelib')!r})"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"{paths}\n{IMPORT}", str(source)],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
