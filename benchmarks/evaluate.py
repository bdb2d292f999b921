"""How fast are bootstrap intervals of all metrics, against scikit-learn in a loop; and a whole evaluation of many rows?

- Resamples: intervals of every metric of a task, by weights on sorted scores; and as they are usually made, by drawing
  rows and calling scikit-learn's metrics on them. Ours does 1,000 resamples; scikit-learn's loop is timed for a few
  and its time multiplied. In one process on one core, in turn; CPU time.
- Whole evaluation: a network of the default architecture is trained for one epoch on few rows, then evaluated on many,
  with intervals, slices and importance, in a fresh process; wall and CPU time and the most memory held.

    python benchmarks/evaluate.py [--rows 1000000] [--rounds 5] [--results FILE]
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TASKS = ("binary", "multiclass", "regression")
RESAMPLED_ROWS = 100_000
RESAMPLES = 1000
LOOPED = 3
MEBI = 2**20


def main() -> None:
    """Measure, print a table, and write it to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="test rows of the whole evaluation")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm (default 5)")
    parser.add_argument("--whole-rounds", type=int, default=3, help="measurements of the whole evaluation (default 3)")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--whole", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--baseline-rows", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.whole:
        print(json.dumps(evaluate_whole(arguments.whole, arguments.baseline_rows)))
        return
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "rounds": arguments.rounds,
        "resamples": compare_resampling(arguments.rounds),
        "whole": measure_whole(arguments.rows, arguments.whole_rounds),
    }
    show(figures)
    if arguments.results:
        arguments.results.parent.mkdir(exist_ok=True)
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def compare_resampling(rounds: int) -> dict[str, dict[str, float]]:
    """Return median CPU seconds of 1,000 resamples of each task, ours and scikit-learn's, and their ratio."""
    from threadpoolctl import threadpool_limits

    from ropewalk.evaluation.intervals import bootstrap

    found = {}
    with threadpool_limits(1), one_core():
        for task in TASKS:
            truth, predicted = make_predictions(task, RESAMPLED_ROWS)
            arms: dict[str, tuple[Callable[[], Any], float]] = {
                "ours": (lambda: bootstrap(task, truth, [predicted], resamples=RESAMPLES, seed=0), 1.0),  # noqa: B023
                "scikit-learn": (lambda: loop(task, truth, predicted, LOOPED), RESAMPLES / LOOPED),  # noqa: B023
            }
            seconds: dict[str, list[float]] = {arm: [] for arm in arms}
            for _ in range(rounds):
                for arm, (run, times) in arms.items():
                    started = time.process_time()
                    run()
                    seconds[arm].append(times * (time.process_time() - started))
            medians = {arm: statistics.median(values) for arm, values in seconds.items()}
            found[task] = {**medians, "times_faster": medians["scikit-learn"] / medians["ours"]}
            print(f"{task}: " + ", ".join(f"{arm} {value:.2f} s" for arm, value in medians.items()))
    return found


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core: what two threads wait for in each other's way would count as work."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def make_predictions(task: str, rows: int) -> tuple[Any, Any]:
    """Return a target and predictions of some use."""
    import numpy as np

    random = np.random.default_rng(0)
    if task == "regression":
        truth = random.normal(size=rows)
        return truth, truth + 0.5 * random.normal(size=rows)
    classes = 2 if task == "binary" else 4
    truth = random.integers(0, classes, rows)
    grown = random.normal(size=(rows, classes))
    grown[np.arange(rows), truth] += 1
    return truth, np.exp(grown) / np.exp(grown).sum(axis=1, keepdims=True)


def loop(task: str, truth: Any, predicted: Any, resamples: int) -> list[dict[str, float]]:
    """Return scikit-learn's metrics of resampled rows, the same as ours."""
    import numpy as np

    random = np.random.default_rng(0)
    draws = (random.integers(len(truth), size=len(truth)) for _ in range(resamples))
    return [SCIKIT_LEARN[task](truth[rows], predicted[rows]) for rows in draws]


def _binary(truth: Any, predicted: Any) -> dict[str, float]:
    from sklearn import metrics as sk

    positive, chosen = predicted[:, 1], predicted.argmax(axis=1)
    return {
        "roc_auc": sk.roc_auc_score(truth, positive),
        "average_precision": sk.average_precision_score(truth, positive),
        "accuracy": sk.accuracy_score(truth, chosen),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, chosen),
        "f1": sk.f1_score(truth, chosen),
        "precision": sk.precision_score(truth, chosen),
        "recall": sk.recall_score(truth, chosen),
        "log_loss": sk.log_loss(truth, positive),
        "brier": sk.brier_score_loss(truth, positive),
    }


def _multiclass(truth: Any, predicted: Any) -> dict[str, float]:
    from sklearn import metrics as sk

    chosen = predicted.argmax(axis=1)
    return {
        "accuracy": sk.accuracy_score(truth, chosen),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, chosen),
        "macro_f1": sk.f1_score(truth, chosen, average="macro"),
        "roc_auc": sk.roc_auc_score(truth, predicted, multi_class="ovr"),
        "log_loss": sk.log_loss(truth, predicted),
    }


def _regression(truth: Any, predicted: Any) -> dict[str, float]:
    from sklearn import metrics as sk

    return {
        "rmse": sk.root_mean_squared_error(truth, predicted),
        "mae": sk.mean_absolute_error(truth, predicted),
        "median_absolute_error": sk.median_absolute_error(truth, predicted),
        "r2": sk.r2_score(truth, predicted),
    }


SCIKIT_LEARN = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}


def measure_whole(rows: int, rounds: int) -> dict[str, Any]:
    """Return medians of evaluating `rows` test rows, without the gradient-boosting baseline and with it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_model(folder, rows)
        found: dict[str, list[dict[str, float]]] = {"alone": [], "with gradient boosting": []}
        for number in range(rounds):
            for arm, baseline_rows in zip(found, (0, 100_000), strict=True):
                command = [sys.executable, __file__, "--whole", str(folder), "--baseline-rows", str(baseline_rows)]
                ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found[arm].append(json.loads(ended.stdout.splitlines()[-1]))
            print(f"round {number + 1}: " + ", ".join(f"{arm} {one[-1]['wall_s']:.1f} s" for arm, one in found.items()))
    medians = {arm: {key: statistics.median(each[key] for each in one) for key in one[0]} for arm, one in found.items()}
    return {"rows": rows, "columns": 20, "resamples": RESAMPLES, "rounds": rounds, **medians}


def train_model(folder: Path, rows: int) -> None:
    """Make a table of 20 columns with `rows` test rows, and a model of the default architecture."""
    import numpy as np
    import pyarrow as pa

    from ropewalk.artifacts import RAW_DATA, Manifest, read_artifact, write_artifact
    from ropewalk.preprocess.preprocess import preprocess
    from ropewalk.preprocess.splits import write_split
    from ropewalk.training.train import train

    def table(count: int, seed: int) -> pa.Table:
        random = np.random.default_rng(seed)
        columns: dict[str, Any] = {f"amount{place}": random.normal(100, 20, count) for place in range(10)}
        columns |= {f"count{place}": random.integers(0, 1000, count) for place in range(4)}
        columns |= {f"city{place}": np.array(CITIES)[random.integers(0, len(CITIES), count)] for place in range(4)}
        columns |= {"flag": random.random(count) < 0.3, "rate": random.random(count)}
        signal = (columns["amount0"] - 100) / 20 + 2 * columns["flag"] + random.normal(size=count)
        return pa.table({**columns, "late": np.array(["no", "yes"])[(signal > 1).astype(int)]})

    with write_artifact(folder / "raw", RAW_DATA) as draft:
        import pyarrow.parquet as pq

        (draft.folder / "data").mkdir()
        pq.write_table(table(30_000, 0), draft.folder / "data" / "table.parquet")
    small = {name: folder / name for name in ("train", "validation", "small-test")}
    preprocess(
        folder / "raw",
        train=small["train"],
        validation=small["validation"],
        test=small["small-test"],
        preprocessor=folder / "preprocessor",
        target="late",
        task="binary",
    )
    train(
        folder / "train",
        validation=folder / "validation",
        preprocessor=folder / "preprocessor",
        model=folder / "model",
        epochs=1,
    )
    origin: Manifest = read_artifact(folder / "raw", RAW_DATA)
    write_split(folder / "test", table(rows, 1), "test", target="late", task="binary", made_from=origin)


CITIES = [f"city-{place:03}" for place in range(50)]


def evaluate_whole(folder: Path, baseline_rows: int) -> dict[str, float]:
    """Evaluate, and return the seconds, wall and CPU, and the most memory that this process held."""
    from ropewalk.evaluation.config import EvaluationConfig
    from ropewalk.evaluation.evaluate import evaluate

    started = time.perf_counter()
    evaluate(
        folder / "model",
        train=folder / "train",
        test=folder / "test",
        evaluation=folder / "evaluation",
        report=folder / "report.html",
        config=EvaluationConfig(confidence_resamples=RESAMPLES, baseline_rows=baseline_rows),
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    # ru_maxrss would also count what the parent held when it started this process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": int(line.split()[1]) * 1024 / MEBI,
    }


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    print(f"\n{figures['machine']}; medians of {figures['rounds']}")
    print(f"\n{RESAMPLES:,} resamples of {RESAMPLED_ROWS:,} rows, CPU seconds")
    for task, found in figures["resamples"].items():
        print(
            f"  {task:<12}{found['ours']:8.2f} ours {found['scikit-learn']:8.1f} scikit-learn "
            f"{found['times_faster']:6.1f} times faster"
        )
    whole = figures["whole"]
    print(f"\nevaluation of {whole['rows']:,} rows x {whole['columns']}, medians of {whole['rounds']}")
    for arm in ("alone", "with gradient boosting"):
        found = whole[arm]
        print(f"  {arm:<24}{found['wall_s']:8.1f} s wall {found['cpu_s']:8.1f} s CPU {found['peak_mib']:8.0f} MiB")


if __name__ == "__main__":
    main()
