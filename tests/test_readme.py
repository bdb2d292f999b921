"""Every command and every piece of code in the README does what the README says."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest import mock

import kfp
import numpy as np
import pandas as pd
import pytest
import yaml
from kfp import compiler

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines()]
MAKE_TARGETS = [line.split()[1] for block in blocks("") for line in block.splitlines() if line.startswith("make ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table of customers in it, in which all commands run one after another."""
    rng = np.random.default_rng(0)
    usage = rng.normal(size=600)
    table = pd.DataFrame(
        {
            "customer_id": range(600),
            "usage": usage,
            "plan": rng.choice(["basic", "plus"], 600),
            "churn": np.where(usage + rng.normal(scale=0.5, size=600) > 0, "yes", "no"),
        }
    )
    folder = tmp_path_factory.mktemp("readme")
    table.to_csv(folder / "my.csv", index=False)
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    if words[:2] == ["python", "compile.py"]:
        words[1:2] = [str(ROOT / "compile.py"), *([] if "--check" in words or "--out" in words else ["--out", "build"])]
    words = [str(ROOT / word) if word.startswith("profiles/") else word for word in words]
    return subprocess.run(words, cwd=folder, env=environment, text=True, capture_output=True)


def test_the_make_targets_of_the_readme_exist() -> None:
    assert MAKE_TARGETS == ["demo", "test"]
    for target in MAKE_TARGETS:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_every_command_of_the_readme_ends_well(folder: Path) -> None:
    assert len(COMMANDS) == 17
    for command in COMMANDS:
        ended = run(command, folder)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    compiled = (folder / "build" / "cluster" / "training.yaml").read_text()
    assert "nvidia.com/gpu" in compiled
    assert "secretName: git-token" in compiled
    runs = json.loads(run("ropewalk runs --json", folder).stdout)
    assert [entry["state"] for entry in runs] == ["succeeded"] * 5


def test_the_notebooks_lines_submit_the_pipeline_with_parameters_that_it_has() -> None:
    submit, _ = blocks("python")
    with mock.patch.object(kfp, "Client", autospec=True) as client:
        exec(submit, {})
    pipeline = client.return_value.create_run_from_pipeline_func.call_args
    parameters = pipeline.args[0].pipeline_spec.root.input_definitions.parameters
    assert set(pipeline.kwargs["arguments"]) <= set(parameters)


def test_single_components_compile_in_a_pipeline_of_ones_own(tmp_path: Path) -> None:
    _, own = blocks("python")
    defined: dict = {}
    exec(own, defined)
    compiler.Compiler().compile(defined["nightly_data_check"], str(tmp_path / "own.yaml"))
    tasks = yaml.safe_load((tmp_path / "own.yaml").read_text())["root"]["dag"]["tasks"]
    assert set(tasks) == {"pull-data", "validate-data"}


def test_links_and_pictures_of_the_readme_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) >= 10
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).is_file(), target
