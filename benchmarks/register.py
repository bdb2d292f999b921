"""What does registering a model of 100 MB cost over copying its files to where MLflow keeps them, and a small one?

`copy` uploads the model's files by `MlflowClient.log_artifacts`, the plain way to the same store. `register` is the
whole step once its libraries are loaded: the model is checked and loaded, packaged with the code that serves it,
uploaded, and given a run, a version and aliases. Two stores: a `mlflow server` on this machine that keeps artifacts in
a folder, and the embedded one, whose copy is a copy on one disk. Each round is a new run with a new version. `small`
registers a model of 1 MB: what a registration costs whatever the model's size. `marginal` is what the larger one costs
above it, over its copy. With --gigabits the server is also measured behind a link of that speed, which is what the
loopback device becomes meanwhile: that needs root, and `tc` of iproute2.

    python benchmarks/register.py [--rounds 5] [--megabytes 100] [--gigabits 1] [--folder DIR] [--results FILE]
"""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import requests

from ropewalk.artifacts import EVALUATION, MODEL, read_artifact, write_artifact, write_json
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.learning import learn_columns
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.registry.register import register
from ropewalk.tracking import connect, pipeline_run
from ropewalk.training.architectures import build_network
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import save_model
from ropewalk.training.networks import TrainedNetwork

BAR = 1.5


def main() -> None:
    """Measure, print a table, and write it to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm (default 5)")
    parser.add_argument("--megabytes", type=int, default=100, help="size of the model (default 100)")
    parser.add_argument("--gigabits", type=int, help="speed of a link, per second, that the server is also behind")
    parser.add_argument("--folder", type=Path, help="where to work (default: a new folder for temporary files)")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    arguments = parser.parse_args()
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="ropewalk-benchmark-") as name:
        figures = measure(Path(name), arguments.rounds, arguments.megabytes, arguments.gigabits)
    if arguments.results:
        arguments.results.parent.mkdir(exist_ok=True)
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(folder: Path, rounds: int, megabytes: int, gigabits: int | None) -> dict[str, object]:
    """Return medians and ratios for both stores, and for the server behind a link."""
    os.environ["ROPEWALK_HOME"] = str(folder / "home")
    model = make_model(folder / "model", megabytes)
    evaluation = make_evaluation(folder / "evaluation", model)
    (folder / "report.html").write_text("<html></html>", encoding="utf-8")
    page = folder / "report.html"
    little = make_model(folder / "small", 1)
    subject = (model, evaluation, page)
    small = (little, make_evaluation(folder / "small-evaluation", little), page)
    size = sum(file.stat().st_size for file in model.iterdir())
    embedded = f"sqlite:///{folder}/home/mlflow.db"
    cases: dict[str, dict[str, float]] = {}
    with server(folder / "server") as uri:
        for title, at in (("server", uri), ("embedded", embedded)):
            connect(at)
            cases[title] = compare(title, at, subject, small, rounds)
        if gigabits:
            with link(gigabits):
                cases["link"] = {"gigabits": gigabits, **compare("link", uri, subject, small, rounds)}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"machine": machine, "rounds": rounds, "bytes": size, "bar": BAR, "cases": cases}


Subject = tuple[Path, Path, Path]


def compare(title: str, uri: str, subject: Subject, small: Subject, rounds: int) -> dict[str, float]:
    """Return the medians of all arms, in turn, after one round that warms up."""
    arms: dict[str, Callable[[str], object]] = {
        "copy": lambda run_id: copy(subject[0], uri, run_id),
        "register": lambda run_id: quietly(
            lambda: register(*subject, name="benchmark", run_id=run_id, tracking_uri=uri)
        ),
        "small": lambda run_id: quietly(lambda: register(*small, name="small", run_id=run_id, tracking_uri=uri)),
    }
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for number in range(rounds + 1):
        for arm, work in arms.items():
            started = time.perf_counter()
            work(f"{title}-{arm}-{number}")
            if number:
                seconds[arm].append(time.perf_counter() - started)
    medians = {arm: statistics.median(values) for arm, values in seconds.items()}
    ratio = medians["register"] / medians["copy"]
    marginal = (medians["register"] - medians["small"]) / medians["copy"]
    shown = "   ".join(f"{arm} {value:.2f} s" for arm, value in medians.items())
    print(f"{title:9} {shown}   ratio {ratio:.2f}   marginal {marginal:.2f}")
    return {**{f"{arm}_s": value for arm, value in medians.items()}, "ratio": ratio, "marginal": marginal}


@contextmanager
def link(gigabits: int) -> Iterator[None]:
    """Have the loopback device pass on no more than so many gigabits per second."""
    rate = ["rate", f"{gigabits}gbit", "burst", "256k", "latency", "50ms"]
    subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", "tbf", *rate], check=True)
    try:
        yield
    finally:
        subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)


def copy(model: Path, uri: str, run_id: str) -> None:
    """Upload the model's files to a run of their own."""
    with pipeline_run(uri, run_id=run_id) as run:
        run.client.log_artifacts(run.id, str(model), "model")


def quietly(work: Callable[[], object]) -> None:
    """Do `work` without its progress lines."""
    written, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115
    try:
        work()
    finally:
        sys.stdout.close()
        sys.stdout = written


def make_model(path: Path, megabytes: int) -> Path:
    """Write the model artifact of an untrained network of so many megabytes."""
    table = pa.table({"x": [0.0, 1.0, 2.0] * 20, "y": ["no", "yes"] * 30})
    columns = tuple(learn_columns(table, "y", PreprocessConfig()))
    preprocessor = Preprocessor(task="binary", target="y", classes=("no", "yes"), columns=columns)
    width = round((megabytes * 1e6 / 4) ** 0.5)
    config = TrainingConfig(architecture="mlp", width=width, depth=2)
    learned = TrainedNetwork(build_network(preprocessor, config), "binary")
    with write_artifact(path, MODEL) as draft:
        save_model(
            draft.folder,
            preprocessor=preprocessor,
            learned=learned,
            center=0.0,
            scale=1.0,
            history=[],
            config=config,
        )
        draft.facts.update(task="binary", target="y")
    return path


def make_evaluation(path: Path, model: Path) -> Path:
    """Write an evaluation artifact of that model."""
    with write_artifact(path, EVALUATION, [read_artifact(model, MODEL)]) as draft:
        write_json(draft.folder / "metrics.json", {"roc_auc": 0.9})
        write_json(draft.folder / "baselines.json", {})
        write_json(draft.folder / "decision.json", {"verdict": "hold", "reason": "A benchmark.", "rules": []})
    return path


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Yield the URI of a `mlflow server` with a sqlite store and artifacts in a folder."""
    folder.mkdir()
    connect(f"sqlite:///{folder}/mlflow.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"),
            *(f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--artifacts-destination={folder}/artifacts"),
            f"--allowed-hosts=127.0.0.1:{port}",
        ],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/health", timeout=2).raise_for_status()
                break
            except requests.RequestException:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
