"""How accurate are the architectures, against each other and against gradient boosting as scikit-learn has it?

Tables: the flights of `examples/flights`, split by time as `make demo` does and at random, and small tables that come
with scikit-learn or are drawn by it. Every arm gets the same splits, as raw columns. A network keeps its best epoch on
the validation rows, trees their best round; the test rows are scored once. One thread; the mean of the seeds is shown.
What was measured already stands in --results, and is not measured again.

    python benchmarks/accuracy.py [--tables flights-time ...] [--arms default ...] [--seeds 3] [--share 1.0]
        [--epochs 0] [--folder build/accuracy] [--results FILE]
"""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import platform
import resource
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pandas as pd
import pyarrow as pa

from ropewalk.artifacts import RAW_DATA, read_artifact, write_artifact
from ropewalk.evaluation.baselines import gradient_boosting
from ropewalk.evaluation.metrics import score
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.preprocessor import load_preprocessor
from ropewalk.preprocess.splits import read_split, write_split
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model
from ropewalk.training.train import train

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SHOWN = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
BOOSTING = "HistGradientBoosting"

ARMS: dict[str, TrainingConfig | None] = {
    "default": TrainingConfig(),
    "mlp": TrainingConfig(architecture="mlp"),
    "linear": TrainingConfig(architecture="linear"),
    "gbdt": TrainingConfig(architecture="gbdt"),
    BOOSTING: None,
}
CANDIDATES = {
    **{
        name: TrainingConfig(architecture=f"accuracy_candidates:{name}")
        for name in (
            "textbook_mlp",
            "silu",
            "layer_norm",
            "low_rank_cross",
            "field_products",
            "packed_ensemble",
            "tabm_8",
            "tabm_32",
        )
    },
    "dropout 0.4": TrainingConfig(dropout=0.4),
    "weight decay 0.1": TrainingConfig(weight_decay=0.1),
    "unknown rate 0.2": TrainingConfig(unknown_rate=0.2),
    "embeddings of 16": TrainingConfig(number_embedding=16, category_embedding=16),
    "width 128": TrainingConfig(width=128),
    "float32": TrainingConfig(precision="float32"),
    "bfloat16": TrainingConfig(precision="bfloat16"),
}


def main() -> None:
    """Measure what is not in the results yet, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, *CANDIDATES], default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3, help="fits of each arm (default 3)")
    parser.add_argument("--share", type=float, default=1.0, help="share of the training rows (default 1.0)")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of networks; 0: as many as users get (default)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "accuracy", help="where splits are kept")
    parser.add_argument("--results", type=Path, help="read and write the figures in this JSON file")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    figures = _known(arguments.results)
    for table in arguments.tables:
        splits = prepared(arguments.folder, table, arguments.share)
        for seed in range(arguments.seeds):
            for arm in arguments.arms:
                key = {
                    "table": table,
                    "share": arguments.share,
                    "epochs_asked": arguments.epochs,
                    "arm": arm,
                    "seed": seed,
                }
                if any(key.items() <= known.items() for known in figures["runs"]):
                    continue
                figures["runs"].append(
                    {**key, **measure({**ARMS, **CANDIDATES}[arm], splits, seed, epochs=arguments.epochs)}
                )
                print(json.dumps(figures["runs"][-1]), flush=True)
                if arguments.results:
                    arguments.results.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    show(figures["runs"])


def _known(results: Path | None) -> dict[str, Any]:
    machine = f"{platform.machine()}, {os.cpu_count()} cores (one used), Python {platform.python_version()}"
    if results is None or not results.exists():
        return {"machine": machine, "runs": []}
    return dict(json.loads(results.read_text(encoding="utf-8")))


def flights() -> pd.DataFrame:
    """Return the table of `examples/flights`."""
    found = importlib.util.spec_from_file_location("flights", ROOT / "examples" / "flights" / "build_repository.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.read_flights().rename(columns={"late": "target"})


def bundled(name: str) -> Callable[[], pd.DataFrame]:
    """Return a function that loads a table that comes with scikit-learn."""

    def load() -> pd.DataFrame:
        import sklearn.datasets

        found = getattr(sklearn.datasets, f"load_{name}")()
        columns = [str(column) for column in getattr(found, "feature_names", range(found.data.shape[1]))]
        return pd.DataFrame(found.data, columns=columns).assign(target=found.target)

    return load


def drawn(name: str, **settings: Any) -> Callable[[], pd.DataFrame]:
    """Return a function that draws a table with scikit-learn."""

    def draw() -> pd.DataFrame:
        import sklearn.datasets

        inputs, target = getattr(sklearn.datasets, f"make_{name}")(random_state=0, **settings)
        return pd.DataFrame(inputs, columns=[f"x{number}" for number in range(inputs.shape[1])]).assign(target=target)

    return draw


TABLES: dict[str, tuple[Callable[[], pd.DataFrame], str, str]] = {
    "flights-time": (flights, "binary", "time_hour"),
    "flights-random": (flights, "binary", ""),
    "breast_cancer": (bundled("breast_cancer"), "binary", ""),
    "wine": (bundled("wine"), "multiclass", ""),
    "digits": (bundled("digits"), "multiclass", ""),
    "diabetes": (bundled("diabetes"), "regression", ""),
    "make_classification": (
        drawn("classification", n_samples=4_000, n_features=20, n_informative=8, flip_y=0.05),
        "binary",
        "",
    ),
    "make_hastie_10_2": (drawn("hastie_10_2", n_samples=4_000), "binary", ""),
    "make_friedman1": (drawn("friedman1", n_samples=4_000, noise=1.0), "regression", ""),
}
"""Per table: what loads it, its task, and the column to split by time."""


def prepared(folder: Path, table: str, share: float) -> Path:
    """Return the folder with the table's splits and preprocessor, made unless they are there."""
    load, task, time_column = TABLES[table]
    place = folder / f"{table}-{share}"
    if (place / "ready").exists():
        return place
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        with write_artifact(place / "raw", RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            load().to_parquet(draft.folder / "data" / "table.parquet")
            draft.facts.update(source=table)
        paths = {name: place / name for name in ("train", "validation", "test", "preprocessor")}
        preprocess(place / "raw", **paths, target="target", task=task, time_column=time_column)
        if share < 1:
            rows, _ = read_split(place / "train")
            kept = np.random.default_rng(0).random(rows.num_rows) < share
            raw = read_artifact(place / "raw", RAW_DATA)
            write_split(
                place / "train", rows.filter(pa.array(kept)), "train", target="target", task=task, made_from=raw
            )
    (place / "ready").touch()
    return place


def measure(config: TrainingConfig | None, place: Path, seed: int, *, epochs: int) -> dict[str, Any]:
    """Return validation and test scores of one fit, and its CPU seconds, reading and predicting included."""
    started = _cpu_seconds()
    learned = load_preprocessor(place / "preprocessor")
    rows = {name: read_split(place / name)[0] for name in ("validation", "test")}
    both = pa.concat_tables(rows.values())
    more: dict[str, Any] = {}
    if config is None:
        own, _ = read_split(place / "train")
        predicted = gradient_boosting(
            own,
            learned.encode_target(own),
            both,
            columns=learned.used,
            classes=learned.classes,
            most_rows=own.num_rows,
            seed=seed,
        ).predicted
    else:
        names = ("train", "validation", "preprocessor")
        train_path, validation, preprocessor = (place / name for name in names)
        with contextlib.redirect_stdout(io.StringIO()):
            manifest = train(
                train_path,
                validation=validation,
                preprocessor=preprocessor,
                model=place / "model",
                epochs=epochs if config.architecture != "gbdt" else 0,
                seed=seed,
                config=config,
            )
        more = {name: manifest.facts[name] for name in ("best_epoch", "epochs", "parameters")}
        predicted = load_model(place / "model").predict(both)
    split = rows["validation"].num_rows
    task = learned.task
    scores = {
        "validation": _score(task, learned.encode_target(rows["validation"]), predicted[:split]),
        "test": _score(task, learned.encode_target(rows["test"]), predicted[split:]),
    }
    return {"score": SHOWN[task], **scores, "cpu_s": round(_cpu_seconds() - started, 1), **more}


def _score(task: str, truth: "NDArray[Any]", predicted: "NDArray[Any]") -> float:
    return round(score(task, truth, predicted)[SHOWN[task]], 5)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def show(runs: list[dict[str, Any]]) -> None:
    """Print the mean of the seeds per table and arm."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["table"], run["share"], run["score"], run["arm"]), []).append(run)
    print("\ntable                share score     arm                    seeds validation      test   CPU s")
    for (table, share, name, arm), group in groups.items():
        means = (statistics.mean(run[key] for run in group) for key in ("validation", "test", "cpu_s"))
        validation, test, cpu = means
        about = f"{table:<20} {share:>5.2f} {name:<9} {arm:<22} {len(group):>5}"
        print(f"{about} {validation:>10.4f} {test:>9.4f} {cpu:>7.1f}")


if __name__ == "__main__":
    main()
