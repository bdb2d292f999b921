"""A registered model, served by MLflow's own command in an environment made from the model's own requirements."""

import datetime
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import requests

from ropewalk.preprocess.splits import read_split
from ropewalk.registry.register import register
from ropewalk.tracking import connect
from ropewalk.training.model import load_model


def test_served_in_a_fresh_environment_raw_json_gets_the_scores_of_the_pipeline(
    store: str, fitted: Callable[..., Path], make_evaluation: Callable[..., Path], report: Path, tmp_path: Path
) -> None:
    # Trees, as torch alone takes longer to install than everything else that a model needs.
    folder = fitted("binary", "gbdt")
    register(folder / "model", make_evaluation(folder / "model"), report, name="served", run_id="r1")
    rows = with_gaps_and_strangers(read_split(folder / "test")[0].drop(["outcome"]))
    expected = load_model(folder / "model").predict(rows)
    source = Path(connect(store).get_model_version("served", "1").source.removeprefix("file://"))
    python = fresh_environment(tmp_path / "fresh", source / "requirements.txt")
    with served(python, source, tmp_path) as address:
        answer = requests.post(address, json={"dataframe_records": as_json(rows)}, timeout=60)
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    classes = load_model(folder / "model").classes
    scores = [[row[f"probability_{name}"] for name in classes] for row in predictions]
    np.testing.assert_allclose(scores, expected, atol=1e-6, rtol=0)
    assert [row["prediction"] for row in predictions] == [classes[place] for place in expected.argmax(axis=1)]


def with_gaps_and_strangers(rows: pa.Table) -> pa.Table:
    """Return the rows, the first without any value and the next few with categories that training never saw."""
    plain = rows.to_pylist()
    plain[0] = dict.fromkeys(plain[0])
    for row in plain[1:4]:
        row["colour"] = "mauve"
    return pa.Table.from_pylist(plain, schema=rows.schema)


def as_json(rows: pa.Table) -> list[dict[str, Any]]:
    """Return the rows as a client sends them: times as ISO 8601, gaps as null."""
    return [
        {name: value.isoformat() if isinstance(value, datetime.datetime) else value for name, value in row.items()}
        for row in rows.to_pylist()
    ]


def fresh_environment(folder: Path, requirements: Path) -> Path:
    """Return the Python of a new environment that holds what the model requires, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    # Not compiling takes a third off: what is not imported need not be compiled.
    install = ["install", "--quiet", "--no-compile", "--disable-pip-version-check", "--requirement", str(requirements)]
    command = [sys.executable, "-m", "pip", "--python", str(python), *install]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    absent = subprocess.run([python, "-c", "import ropewalk"], cwd=folder, capture_output=True, check=False)
    assert b"No module named 'ropewalk'" in absent.stderr
    return python


@contextmanager
def served(python: Path, model: Path, folder: Path) -> Iterator[str]:
    """Yield the address that answers for a model, by `mlflow models serve`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    kept = {name: os.environ[name] for name in ("HOME", "OMP_NUM_THREADS") if name in os.environ}
    command = [python.parent / "mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    log = folder / "serve.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--port", str(port)], cwd=folder, env={**kept, **settings}, stdout=stream, stderr=stream
        )
    try:
        end = time.monotonic() + 240
        while not _answers(port):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, log.read_text(encoding="utf-8")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok
    except requests.RequestException:
        return False
