"""`python compile.py`: writes, checks and updates, with exit codes that CI can use."""

import importlib.util
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """compile.py as a module, with a golden folder of its own."""
    loader = importlib.util.spec_from_file_location("compile_script", ROOT / "compile.py")
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path.parent)
    monkeypatch.setattr(module, "GOLDEN", tmp_path / "golden")
    return module


def _call(script, *arguments):
    return CliRunner().invoke(script.main, arguments)


def test_help_teaches_by_examples(script):
    shown = _call(script, "--help").output
    assert "python compile.py --check        has anything changed? (CI runs this)\n" in shown


def test_everything_is_written_and_listed(script, tmp_path):
    ended = _call(script, "--out", str(tmp_path / "out"))
    assert ended.exit_code == 0
    written = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.yaml")}
    assert {"training.yaml", "components/train_model.yaml"} <= written
    assert all(name in ended.output for name in written)


def test_a_check_fails_with_a_diff_until_an_update_is_made(script):
    before = _call(script, "--check")
    assert before.exit_code == 1
    assert "+# PIPELINE DEFINITION" in before.output
    assert "run `python compile.py --update`" in before.output
    script.update_files(script.golden_files(script.compile_everything(), script.GOLDEN), script.GOLDEN)
    after = _call(script, "--check")
    assert after.exit_code == 0
    assert "up to date" in after.output
