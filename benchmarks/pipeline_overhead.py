"""What does a pipeline cost over the same library calls made in one plain process?

Runs `training` on all flights, through `ropewalk run` and as plain calls, in turn; then starts each step's Python, up
to the point where its own work would begin. Both arms use the same seed, so they train the same number of epochs.

    python benchmarks/pipeline_overhead.py [--rounds 3] [--results FILE]
"""

import argparse
import ast
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = {"source": "flights", "path": "flights.parquet", "target": "late", "time_column": "time_hour"}


def main() -> None:
    """Measure, print a table, and write it to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each arm (default 3)")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--plain-calls", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain_calls:
        print(json.dumps(plain_calls(arguments.plain_calls)))
        return
    figures = measure(arguments.rounds)
    show(figures)
    if arguments.results:
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(rounds: int) -> dict[str, object]:
    """Return the medians of `rounds` measurements, arms in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = folder / TABLE["source"]
        run([sys.executable, ROOT / "examples/flights/build_repository.py", repository], folder)
        yaml = folder / "build"
        run([sys.executable, ROOT / "compile.py", "--out", yaml], folder)
        pipeline, calls = [], []
        for number in range(rounds):
            pipeline.append(pipeline_seconds(folder / f"pipeline-{number}", yaml / "training.yaml", repository))
            calls.append(plain_seconds(folder / f"plain-{number}", repository))
            print(
                f"round {number + 1}: pipeline {pipeline[-1]:.1f} s, plain process {calls[-1]['process']:.1f} s",
                flush=True,
            )
        startup = {step: startup_seconds(step, rounds) for step in sorted(imports_of_steps())}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {
        "machine": machine,
        "rounds": rounds,
        "pipeline_s": statistics.median(pipeline),
        "plain_calls_s": {part: statistics.median(call[part] for call in calls) for part in calls[0]},
        "ratio_to_process": statistics.median(pipeline) / statistics.median(call["process"] for call in calls),
        "ratio_to_calls": statistics.median(pipeline) / statistics.median(call["calls"] for call in calls),
        "startup_s": startup,
    }


def pipeline_seconds(home: Path, yaml: Path, repository: Path) -> float:
    """Return the wall time of `ropewalk run`, command included."""
    home.mkdir()
    command = [
        Path(sys.executable).with_name("ropewalk"),
        "run",
        yaml,
        "--data",
        repository,
        "--data-path",
        TABLE["path"],
    ]
    options = ["--target", TABLE["target"], "--time-column", TABLE["time_column"]]
    started = time.perf_counter()
    run([*command, *options], home)
    return time.perf_counter() - started


def plain_seconds(folder: Path, repository: Path) -> dict[str, float]:
    """Return the seconds of each library call, their sum, and the wall time of the one fresh process they run in."""
    folder.mkdir()
    shutil.copytree(repository, folder / TABLE["source"], symlinks=True)
    shutil.copytree(repository.with_name(f"{repository.name}-remote"), folder / f"{TABLE['source']}-remote")
    started = time.perf_counter()
    printed = run([sys.executable, __file__, "--plain-calls", folder], folder)
    return {**json.loads(printed.splitlines()[-1]), "process": time.perf_counter() - started}


def plain_calls(folder: Path) -> dict[str, float]:
    """Import and call the steps' functions one after another; return the seconds of all imports and of each call."""
    started = time.perf_counter()
    from ropewalk.check.check import check
    from ropewalk.data.pull import pull
    from ropewalk.evaluation.config import EvaluationConfig
    from ropewalk.evaluation.evaluate import evaluate
    from ropewalk.preprocess.preprocess import preprocess
    from ropewalk.registry.champion import fetch
    from ropewalk.registry.register import register
    from ropewalk.training.train import train
    from ropewalk.validation.config import ValidationConfig
    from ropewalk.validation.validate import validate

    imports = time.perf_counter() - started
    names = ("raw", "train", "validation", "test", "preprocessor", "model", "champion", "evaluation")
    at = {name: folder / name for name in names}
    page, target, task = folder / "page.html", TABLE["target"], "binary"
    splits = {name: at[name] for name in ("train", "validation", "test", "preprocessor")}
    source = str(folder / TABLE["source"])
    calls: dict[str, Callable[[], object]] = {
        "check": lambda: check({}),
        "pull": lambda: pull(source, path=TABLE["path"], output=at["raw"]),
        "validate": lambda: validate(at["raw"], report=page, target=target, config=ValidationConfig()),
        "preprocess": lambda: preprocess(
            at["raw"], **splits, target=target, task=task, time_column=TABLE["time_column"]
        ),
        "train": lambda: train(
            at["train"], validation=at["validation"], preprocessor=at["preprocessor"], model=at["model"]
        ),
        "fetch": lambda: fetch(output=at["champion"], name="model"),
        "evaluate": lambda: evaluate(
            at["model"],
            train=at["train"],
            test=at["test"],
            evaluation=at["evaluation"],
            report=page,
            champion=at["champion"],
            config=EvaluationConfig(),
        ),
        "register": lambda: register(
            at["model"], at["evaluation"], page, name="model", run_id="plain", run_name="", tracking_uri=""
        ),
    }
    seconds = {}
    for name, call in calls.items():
        started = time.perf_counter()
        call()
        seconds[name] = time.perf_counter() - started
    return {"imports": imports, **seconds, "calls": sum(seconds.values())}


def imports_of_steps() -> dict[str, str]:
    """Return, per component folder, the import statements of its function's body."""
    found = {}
    for file in sorted((ROOT / "components").glob("*/component.py")):
        function = next(node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef))
        imports = [node for node in function.body if isinstance(node, ast.Import | ast.ImportFrom)]
        found[file.parent.name] = "\n".join(ast.unparse(node) for node in imports)
    return found


def startup_seconds(step: str, rounds: int) -> float:
    """Return the wall time of a fresh Python that loads KFP's executor and the step's imports."""
    code = f"import kfp.dsl.executor_main\n{imports_of_steps()[step]}\nimport time; print(time.time())"
    seconds = []
    for _ in range(rounds):
        started = time.time()
        command = [sys.executable, "-c", code]
        ready = subprocess.run(command, check=True, env={**os.environ, "_KFP_RUNTIME": "true"}, stdout=subprocess.PIPE)
        seconds.append(float(ready.stdout) - started)
    return statistics.median(seconds)


def run(command: list[object], folder: Path) -> str:
    """Run a command in `folder`, with its state there, and return what it printed."""
    environment = {**os.environ, "ROPEWALK_HOME": str(folder / ".ropewalk")}
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def show(figures: dict) -> None:
    """Print the figures as a table."""
    print(f"\n{figures['machine']}, medians of {figures['rounds']}\n")
    for part, seconds in figures["plain_calls_s"].items():
        print(f"  plain {part:<17}{seconds:8.2f} s")
    print(f"  pipeline               {figures['pipeline_s']:8.2f} s")
    print(f"  ratio to plain process {figures['ratio_to_process']:8.2f}    (bar: 1.30)")
    print(f"  ratio to calls alone   {figures['ratio_to_calls']:8.2f}    (imports and start of Python not counted)\n")
    for step, seconds in figures["startup_s"].items():
        print(f"  start of {step:<14}{seconds:8.2f} s  (bar: 2.50)")


if __name__ == "__main__":
    main()
