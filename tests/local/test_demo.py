"""The demo, on all flights: its commands as the Makefile has them, and what its model must reach."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def demo_command() -> list[str]:
    """Return the arguments of `ropewalk run` in the Makefile's target demo."""
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    return re.search(r"\$\(BIN\)/ropewalk (run .*)", recipe.replace("\\\n", " ")).group(1).split()


def test_the_demo_ties_gradient_boosting_on_later_flights_and_registers_its_model(ropewalk, tmp_path):
    flights = tmp_path / "flights"
    subprocess.run([sys.executable, ROOT / "examples/flights/build_repository.py", flights], check=True)
    subprocess.run([sys.executable, ROOT / "compile.py", "--out", tmp_path / "build"], check=True)
    places = {"demo/flights": str(flights), "build/training.yaml": str(tmp_path / "build" / "training.yaml")}
    ended = ropewalk.call(*(places.get(word, word) for word in demo_command()))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    results = ropewalk.record()["results"]
    assert results["model"]["model_name"] == "flight-delay"
    assert results["metrics"]["test_rows"] > 49_000
    assert results["metrics"]["roc_auc"] >= results["metrics"]["gradient_boosting_roc_auc"] - 0.005
