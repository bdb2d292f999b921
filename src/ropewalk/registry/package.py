"""Package: a model artifact as an MLflow model that needs no Ropewalk where it is loaded, and no pickle."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import ropewalk
from ropewalk.artifacts import disk_errors
from ropewalk.preprocess.columns import NUMERIC, Column
from ropewalk.registry.frames import predict_frame
from ropewalk.registry.own_code import carry_own_code
from ropewalk.training.model import DESCRIPTION, TrainedModel

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

REQUIREMENTS = ("mlflow", "pandas", "pyarrow", "numpy", "pydantic")
"""What loading any registered model imports besides the library code that travels with it."""

_SERVED_MODEL = Path(__file__).with_name("served_model.py")
_CARRIED = ("preprocess", "training", "registry")


@contextmanager
def packaged(trained: TrainedModel, folder: Path, *, mlflow_run_id: str, model_id: str) -> Iterator[Path]:
    """Yield a temporary folder with the MLflow model of the artifact in `folder`."""
    import mlflow.pyfunc
    from mlflow.models import Model

    with tempfile.TemporaryDirectory(prefix="ropewalk-") as temporary, disk_errors(Path(temporary)):
        code = Path(temporary, "code")
        _copy_library(code / "ropewalk")
        own = carry_own_code(_own_references(trained, folder), code)
        package = Path(temporary, "package")
        example = input_example(trained)
        mlflow.pyfunc.save_model(
            path=package,
            python_model=_SERVED_MODEL,
            artifacts={"model": str(folder)},
            code_paths=sorted(map(str, code.iterdir())),
            pip_requirements=requirements(trained, own),
            signature=signature(trained, example),
            input_example=example,
            mlflow_model=Model(artifact_path="model", run_id=mlflow_run_id, model_id=model_id, model_uuid=model_id),
            metadata={"ropewalk": ropewalk.__version__, "task": trained.task, "target": trained.target},
        )
        yield package


def requirements(trained: TrainedModel, own: Sequence[str] = ()) -> list[str]:
    """Return the exact versions installed here of what the model needs: for its architecture, and of `own` code.

    A local part such as "+cpu" is dropped, as no index has it.
    """
    names = dict.fromkeys((*REQUIREMENTS, *trained.requirements, *own))
    return [f"{name}=={metadata.version(name).partition('+')[0]}" for name in names]


def signature(trained: TrainedModel, example: pd.DataFrame) -> ModelSignature:
    """Return the raw columns that go in and the columns that come out.

    Inputs are untyped on purpose: pandas gives one and the same column as int64, float64 or object depending on
    which values are missing, MLflow refuses all but the declared one, and the model reads each of them.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs = Schema([ColSpec(AnyType(), name) for name in example.columns])
    scores = predict_frame(trained, example)
    outputs = Schema(
        [
            ColSpec("string" if name == "prediction" and trained.task != "regression" else "double", name)
            for name in scores.columns
        ]
    )
    return ModelSignature(inputs=inputs, outputs=outputs)


def input_example(trained: TrainedModel) -> pd.DataFrame:
    """Return one row of typical values: the median of a number, the most frequent category."""
    typical = {column.name: pd.Series([_typical(column)], dtype=object) for column in trained.preprocessor.takes}
    return pd.DataFrame(typical).infer_objects()


def _typical(column: Column) -> Any:
    if column.vocabulary:
        return column.vocabulary[0]
    return column.numbers[0].center if column.role == NUMERIC and column.numbers else None


def _own_references(trained: TrainedModel, folder: Path) -> list[str]:
    """Return what the model calls of the user's code, each as "module:function"."""
    architecture = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["architecture"]
    return [name for name in (architecture, trained.preprocessor.function) if ":" in name]


def _copy_library(code: Path) -> None:
    library = Path(ropewalk.__file__).parent
    code.mkdir(parents=True)
    for module in library.glob("*.py"):
        shutil.copy2(module, code)
    for package in _CARRIED:
        shutil.copytree(library / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
