"""Each notebook runs from its first cell to its last, against the real pipelines and KFP's real client."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from kfp_server.passing import time_passes
from kfp_server.server import serve

NOTEBOOKS = Path(__file__).parents[2] / "examples" / "notebooks"
NAMES = sorted(file.stem for file in NOTEBOOKS.glob("*.ipynb"))


SETTINGS = ("ROPEWALK_HOME", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "KF_PIPELINES_ENDPOINT")
"""What would lead a notebook elsewhere, if this machine had it set."""


def execute(name: str, folder: Path, **settings: str) -> nbformat.NotebookNode:
    """Return the notebook `name` with its outputs, after a copy of it has run in `folder`; no output is a complaint."""
    notebook = nbformat.read(shutil.copy(NOTEBOOKS / f"{name}.ipynb", folder), as_version=4)
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | settings
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute(env=environment)
    complaints = [text for kind, text in _outputs(notebook) if kind == "stderr"]
    assert not complaints, complaints
    return notebook


def _outputs(notebook: nbformat.NotebookNode) -> Iterator[tuple[str, str]]:
    """Yield (stream's name or MIME type, text) of everything that the cells wrote."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                yield output.name, output.text
            else:
                yield from output.get("data", {}).items()


def shown(notebook: nbformat.NotebookNode, kind: str) -> list[str]:
    """Return what the cells wrote of one kind."""
    return [text for found, text in _outputs(notebook) if found == kind]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nbformat.NotebookNode]:
    """The first notebook, once run, and the folder in which its runs and models are."""
    folder = tmp_path_factory.mktemp("first_run")
    return folder, execute("first_run", folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_without_outputs(name):
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    left = [cell.id for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    assert not left, f"clear the outputs of {name}.ipynb (Edit, Clear Outputs of All Cells): cells {left}"


@pytest.mark.parametrize("name", NAMES)
def test_links_between_notebooks_lead_somewhere(name):
    text = (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    assert [target for target in re.findall(r"\]\(([\w./]+)\)", text) if not (NOTEBOOKS / target).is_file()] == []


def test_the_first_run_leaves_a_model_that_predicts_and_knows_its_data(first_run):
    folder, notebook = first_run
    log, pages = "".join(shown(notebook, "stdout")), shown(notebook, "text/html")
    assert "register-model: succeeded" in log
    assert len(shown(notebook, "image/png")) == 2
    assert any("probability_malignant" in page for page in pages)
    report = next(re.search('src="(.*?)"', page)[1] for page in pages if "<iframe" in page)
    assert "Predicting diagnosis" in (folder / report).read_text(encoding="utf-8")
    assert "sha256:" in pages[-1]


def test_single_components_make_a_pipeline_that_compares_models(tmp_path):
    notebook = execute("own_pipeline", tmp_path)
    assert "add-pressure-times-mass: succeeded" in "".join(shown(notebook, "stdout"))
    (table,) = shown(notebook, "text/html")
    assert sorted(re.findall("<th>(linear|tabular)</th>", table)) == ["linear", "tabular"]
    assert len(shown(notebook, "image/png")) == 1
    assert (tmp_path / "compare.yaml").read_text(encoding="utf-8").startswith("# PIPELINE DEFINITION")


def test_a_pipeline_is_submitted_followed_and_its_models_compared(first_run, tmp_path):
    store = f"sqlite:///{first_run[0] / '.ropewalk' / 'mlflow.db'}"
    with serve() as server, time_passes(server):
        places = {"KF_PIPELINES_ENDPOINT": server.url, "MLFLOW_TRACKING_URI": store}
        notebook = execute("submit_to_a_cluster", tmp_path, **places)
    (run,) = server.state.runs.values()
    assert run.record["runtime_config"]["parameters"]["model_name"] == "tumours"
    assert "'SUCCEEDED'" in shown(notebook, "text/plain")
    pages = shown(notebook, "text/html")
    assert any("train-model" in page and "SUCCEEDED" in page for page in pages)
    assert any("champion" in page and "roc_auc_low" in page for page in pages)
    assert len(shown(notebook, "image/png")) == 2
