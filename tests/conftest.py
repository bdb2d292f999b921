"""Fixtures that several kinds of test share."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

# Before torch is loaded: two workers with two threads each would fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from ropewalk.artifacts import EVALUATION, MODEL, RAW_DATA, Manifest, read_artifact, write_artifact, write_json


@pytest.fixture
def make_raw(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a data frame as a raw-data artifact and returns its path."""

    def make(table: pd.DataFrame, name: str = "raw") -> Path:
        with write_artifact(tmp_path / name, RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            table.to_parquet(draft.folder / "data" / "table.parquet")
            draft.facts.update(source="test", rows=len(table))
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sqlite store with MLflow's schema and nothing in it; creating one takes seconds, copying it none."""
    from ropewalk.tracking import connect

    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    connect(f"sqlite:///{database}")
    return database


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URI of an embedded store of its own; no setting from outside reaches the test."""
    for name in (
        "MLFLOW_RUN_ID",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_EXPERIMENT_NAME",
        "KUBERNETES_SERVICE_HOST",
        "ROPEWALK_RUN_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROPEWALK_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shutil.copy2(empty_store, tmp_path / "home" / "mlflow.db")
    return f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}"


@pytest.fixture
def raw_rows() -> pd.DataFrame:
    """Rows with every kind of column, gaps in each of them, and the target `sold`."""
    count = 120
    return pd.DataFrame(
        {
            "size": [None if row % 7 == 0 else row / 3 for row in range(count)],
            "rooms": [row % 5 for row in range(count)],
            "colour": [["red", "green", "blue", None][row % 4] for row in range(count)],
            "garden": pd.array([[True, False, None][row % 3] for row in range(count)], dtype="boolean"),
            "built": pd.date_range("2024-01-01", periods=count, freq="h", unit="us").where(
                pd.Series(range(count)) % 9 > 0
            ),
            "sold": [["no", "yes"][row % 2] for row in range(count)],
        }
    )


@pytest.fixture
def make_model(tmp_path: Path, raw_rows: pd.DataFrame) -> Callable[..., Path]:
    """Return a function that writes a model artifact of an untrained network and returns its path."""
    import pyarrow as pa
    import torch

    from ropewalk.preprocess.config import PreprocessConfig
    from ropewalk.preprocess.learning import learn_columns
    from ropewalk.preprocess.preprocessor import Preprocessor
    from ropewalk.training.architectures import build_network
    from ropewalk.training.config import TrainingConfig
    from ropewalk.training.model import save_model
    from ropewalk.training.networks import TrainedNetwork

    def make(name: str = "model", *, task: str = "binary", seed: int = 0) -> Path:
        table = pa.Table.from_pandas(raw_rows, preserve_index=False)
        target, classes = {
            "binary": ("sold", ("no", "yes")),
            "multiclass": ("colour", ("blue", "green", "red")),
            "regression": ("size", ()),
        }[task]
        columns = tuple(learn_columns(table, target, PreprocessConfig()))
        preprocessor = Preprocessor(task=task, target=target, classes=classes, columns=columns)
        torch.manual_seed(seed)
        network = build_network(preprocessor, TrainingConfig())
        losses = [
            {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 2 / epoch, "seconds": 0.1}
            for epoch in (1, 2, 3)
        ]
        raw = _raw(tmp_path / f"{name}-raw")
        with write_artifact(tmp_path / name, MODEL, [raw]) as draft:
            save_model(
                draft.folder,
                preprocessor=preprocessor,
                learned=TrainedNetwork(network, task),
                center=1.0,
                scale=2.0,
                history=losses,
                config=TrainingConfig(),
            )
            draft.facts.update(task=task, target=target, architecture="tabular", epochs=3, best_epoch=2, seed=seed)
        return tmp_path / name

    return make


def _raw(path: Path) -> Manifest:
    with write_artifact(path, RAW_DATA) as draft:
        (draft.folder / "table.csv").write_text("size\n1\n", encoding="utf-8")
        draft.facts.update(
            source="git@example.org:houses.git",
            repository="git@example.org:houses.git",
            commit="c" * 40,
            path="data/houses.csv",
            revision="main",
            hash="d" * 32,
        )
    return read_artifact(path, RAW_DATA)


@pytest.fixture
def make_evaluation(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an evaluation artifact of a model and returns its path."""

    def make(model: Path, *, verdict: str = "promote", **decided: object) -> Path:
        path = tmp_path / f"{model.name}-evaluation"
        decision = {"verdict": verdict, "reason": "It beats the baselines.", "rules": [], **decided}
        with write_artifact(path, EVALUATION, [read_artifact(model, MODEL)]) as draft:
            write_json(draft.folder / "metrics.json", {"roc_auc": 0.91, "f1[yes]": 0.8})
            write_json(draft.folder / "baselines.json", {"majority": {"roc_auc": 0.5}})
            write_json(draft.folder / "decision.json", decision)
            write_json(draft.folder / "curves.json", {})
            draft.facts.update(roc_auc=0.91, verdict=verdict)
        return path

    return make


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The HTML page of an evaluation."""
    (tmp_path / "report.html").write_text("<html>Evaluation</html>", encoding="utf-8")
    return tmp_path / "report.html"


def _git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def hub_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with DVC initialised, with a remote named by an absolute path that `hub` fills in."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("hub") / "work"
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    with Repo.init(str(folder)):
        pass
    (folder / "README.md").write_text("Data\n")
    return folder


@pytest.fixture
def hub(hub_template: Path, tmp_path: Path) -> Path:
    """A bare repository `hub.git` whose default DVC remote is the folder `store` beside it."""
    work = tmp_path / "work"
    shutil.copytree(hub_template, work)
    (tmp_path / "store").mkdir()
    (work / ".dvc" / "config").write_text(f"[core]\n    remote = s\n['remote \"s\"']\n    url = {tmp_path / 'store'}\n")
    _git(work, "add", "--all")
    _git(work, "commit", "--quiet", "-m", "Start")
    _git(tmp_path, "clone", "--quiet", "--bare", str(work), "hub.git")
    return tmp_path / "hub.git"


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that gives, per task and architecture, a folder with the splits and a `model` fitted to them.

    The folders are shared: tests read them only.
    """
    import functools

    from ropewalk.preprocess.preprocess import preprocess
    from ropewalk.training.config import TrainingConfig
    from ropewalk.training.train import train

    @functools.cache
    def fit(task: str, architecture: str = "tabular") -> Path:
        folder = tmp_path_factory.mktemp(task)
        with write_artifact(folder / "raw", RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            _measured(task).to_parquet(draft.folder / "data" / "table.parquet")
            draft.facts.update(source="sample:measured", commit="c" * 40, path="data/table.parquet", hash="d" * 32)
        splits = {name: folder / name for name in ("train", "validation", "test")}
        preprocess(folder / "raw", **splits, preprocessor=folder / "preprocessor", target="outcome", task=task)
        train(
            splits["train"],
            validation=splits["validation"],
            preprocessor=folder / "preprocessor",
            model=folder / "model",
            epochs=3,
            config=TrainingConfig(architecture=architecture),
        )
        return folder

    return fit


def _measured(task: str) -> pd.DataFrame:
    """Rows whose `outcome` depends on a number, a category and a time, with gaps."""
    import numpy as np

    random = np.random.default_rng(5)
    rows = 900
    table = pd.DataFrame(
        {
            "length": random.normal(size=rows),
            "width": random.lognormal(size=rows),
            "colour": random.choice(["red", "green", "blue"], rows),
            "measured": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**6, rows), unit="s"),
        }
    )
    signal = 2 * table["length"] + (table["colour"] == "red") + 0.5 * random.normal(size=rows)
    table.loc[random.random(rows) < 0.1, "width"] = np.nan
    if task == "regression":
        table["outcome"] = 100 + 10 * signal
    elif task == "binary":
        table["outcome"] = np.where(signal > 1.5, "yes", "no")
    else:
        table["outcome"] = np.array(["low", "middle", "high"])[np.digitize(signal, [-1, 1])]
    return table


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., pd.DataFrame]:
    """Return a function that gives rows whose target `y` depends on a number with gaps and a category."""
    return _frame


def _frame(task: str, rows: int = 1500) -> pd.DataFrame:
    import numpy as np

    rng = np.random.default_rng(0)
    x, city = rng.normal(size=rows), rng.choice(["a", "b", "c"], rows)
    signal = 2 * x + np.select([city == "a", city == "b"], [1.5, -1.5]) + rng.normal(scale=0.3, size=rows)
    target = {
        "binary": np.where(signal > 0, "yes", "no"),
        "multiclass": np.digitize(signal, [-1.0, 1.0]),
        "regression": 1000 + 50 * signal,
    }[task]
    x[::50] = np.nan
    return pd.DataFrame({"x": x, "city": city, "noise": rng.normal(size=rows), "y": target})


@pytest.fixture
def fit_to(make_raw: Callable[..., Path]) -> Callable[..., tuple[Path, Manifest]]:
    """Return a function that trains on a frame's target `y`: gives the folder of all artifacts and the manifest.

    A column `weight` is ignored as a feature.
    """

    from ropewalk.preprocess.config import PreprocessConfig
    from ropewalk.preprocess.preprocess import preprocess
    from ropewalk.training.train import train

    def fit(table: pd.DataFrame, task: str, config: object, *, epochs: int = 15) -> tuple[Path, Manifest]:
        raw = make_raw(table)
        folder = raw.parent
        paths = {name: folder / name for name in ("train", "validation", "test", "preprocessor")}
        ignore = tuple(name for name in ("weight",) if name in table)
        preprocess(raw, **paths, target="y", task=task, config=PreprocessConfig(ignore=ignore))
        manifest = train(
            paths["train"],
            validation=paths["validation"],
            preprocessor=paths["preprocessor"],
            model=folder / "model",
            epochs=epochs,
            config=config,
        )
        return folder, manifest

    return fit
