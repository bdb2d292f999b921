"""Every component works as KFP ships it: its source alone, in an image that holds Ropewalk and never calls pip."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk import images
from ropewalk.launch import catalog
from ropewalk.launch.readme import make_readme, readme_path
from ropewalk.launch.specification import read_specification

COMPONENTS = catalog.components()
pytestmark = pytest.mark.parametrize("name", COMPONENTS)

DEFINE = """
import ast, sys
from pathlib import Path

source = Path(sys.argv[1]).read_text(encoding="utf-8")
shipped = {}
exec(source, shipped)
assert callable(shipped[sys.argv[2]])
"""


def _container(name):
    return COMPONENTS[name].component_spec.implementation.container


def test_the_shipped_source_defines_its_function_in_the_image(name, tmp_path):
    source = tmp_path / "shipped.py"
    source.write_text(_container(name).command[-1], encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", DEFINE, str(source), name],
        env={**os.environ, "_KFP_RUNTIME": "true"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_every_name_that_the_body_imports_exists(name):
    lines = [line.strip() for line in _container(name).command[-1].splitlines()]
    imports = [line for line in lines if line.startswith(("from pathlib", "from ropewalk", "import "))]
    assert any(line.startswith("from ropewalk.") for line in imports)
    exec("\n".join(line for line in imports if "kfp" not in line), {})


def test_it_runs_in_our_image_without_pip(name):
    container = _container(name)
    assert container.image in (images.DATA, images.TABLES, images.TRAIN, images.REGISTER)
    assert "pip install" not in " ".join(container.command)


def test_its_documentation_covers_all_inputs_and_outputs(name):
    specification = read_specification(catalog.to_yaml(COMPONENTS[name]), source=name)
    assert COMPONENTS[name].description
    undocumented = [field.name for field in specification.inputs + specification.outputs if not field.description]
    assert not undocumented


def test_its_readme_is_up_to_date(name):
    path = readme_path(COMPONENTS[name])
    assert path.is_file(), "run `python compile.py --update`"
    assert path.read_text(encoding="utf-8") == make_readme(name, COMPONENTS[name]), "run `python compile.py --update`"


def test_the_command_line_named_in_its_readme_exists(name):
    readme = make_readme(name, COMPONENTS[name])
    step = readme.partition("python -m ropewalk.")[2].partition(" ")[0]
    assert (Path(images.__file__).parent / step / "__main__.py").is_file()
