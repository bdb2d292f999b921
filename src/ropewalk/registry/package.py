"""Package: a model artifact as an MLflow model that needs no Ropewalk where it is loaded, and no pickle."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import ropewalk
from ropewalk.artifacts import disk_errors
from ropewalk.preprocess.columns import NUMERIC, Column
from ropewalk.registry.description import ModelDescription
from ropewalk.registry.frames import output_names
from ropewalk.registry.own_code import carry_own_code

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

REQUIREMENTS = ("mlflow", "pandas", "pyarrow", "numpy", "pydantic")
"""What loading any registered model imports besides the library code that travels with it."""

MODEL_PLACE = "artifacts/model"
"""Where in an MLflow model the model artifact is."""

_SERVED_MODEL = Path(__file__).with_name("served_model.py")
_CARRIED = ("preprocess", "training", "registry")


@contextmanager
def packaged(trained: ModelDescription, *, mlflow_run_id: str, model_id: str) -> Iterator[Path]:
    """Yield a temporary folder with the MLflow model, but for the model artifact, which belongs at `MODEL_PLACE`."""
    import mlflow.pyfunc
    from mlflow.models import Model

    with tempfile.TemporaryDirectory(prefix="ropewalk-") as temporary, disk_errors(Path(temporary)):
        code = Path(temporary, "code")
        code.mkdir()
        own = carry_own_code(_own_references(trained), code)
        package = Path(temporary, "package")
        stand_in = Path(temporary, "model")
        stand_in.mkdir()
        example = input_example(trained)
        mlflow.pyfunc.save_model(
            path=package,
            python_model=_SERVED_MODEL,
            artifacts={"model": str(stand_in), "code": str(_library_code(Path(temporary)))},
            code_paths=sorted(map(str, code.iterdir())) or None,
            pip_requirements=requirements(trained, own),
            signature=signature(trained, example),
            input_example=example,
            mlflow_model=Model(artifact_path="model", run_id=mlflow_run_id, model_id=model_id, model_uuid=model_id),
            metadata={"ropewalk": ropewalk.__version__, "task": trained.task, "target": trained.target},
        )
        yield package


def requirements(trained: ModelDescription, own: Sequence[str] = ()) -> list[str]:
    """Return exact versions of what the model needs: what it was trained with, else what is installed here.

    torch and its like need not be installed where a model is registered. A local part such as "+cpu" is dropped, as no
    index has it.
    """
    names = dict.fromkeys((*REQUIREMENTS, *trained.requirements, *own))
    trained_with = trained.settings["environment"]
    return [f"{name}=={(trained_with.get(name) or _installed(name)).partition('+')[0]}" for name in names]


def signature(trained: ModelDescription, example: pd.DataFrame) -> ModelSignature:
    """Return the raw columns that go in and the columns that come out.

    Inputs are untyped on purpose: pandas gives one and the same column as int64, float64 or object depending on
    which values are missing, MLflow refuses all but the declared one, and the model reads each of them.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs = Schema([ColSpec(AnyType(), name) for name in example.columns])
    first, *probabilities = output_names(trained.classes)
    chosen = ColSpec("string" if trained.classes else "double", first)
    outputs = Schema([chosen, *(ColSpec("double", name) for name in probabilities)])
    return ModelSignature(inputs=inputs, outputs=outputs)


def input_example(trained: ModelDescription) -> pd.DataFrame:
    """Return one row of typical values: the median of a number, the most frequent category."""
    typical = {column.name: pd.Series([_typical(column)], dtype=object) for column in trained.preprocessor.takes}
    return pd.DataFrame(typical).infer_objects()


def _installed(name: str) -> str:
    # mlflow is mlflow-skinny of the same version and a server, which registering does without.
    return metadata.version("mlflow-skinny" if name == "mlflow" else name)


def _typical(column: Column) -> Any:
    if column.vocabulary:
        return column.vocabulary[0]
    return column.numbers[0].center if column.role == NUMERIC and column.numbers else None


def _own_references(trained: ModelDescription) -> list[str]:
    """Return what the model calls of the user's code, each as "module:function"."""
    return [name for name in (trained.settings["architecture"], trained.preprocessor.function) if ":" in name]


def _library_code(folder: Path) -> Path:
    """Write what loading the model needs of the library as one archive, as a hundred small uploads take seconds."""
    library, archive = Path(ropewalk.__file__).parent, folder / "code.zip"
    modules = [*library.glob("*.py"), *(module for name in _CARRIED for module in (library / name).rglob("*.py"))]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as code:
        for module in sorted(modules):
            # Of one date, so that the same library gives the same bytes.
            entry = zipfile.ZipInfo(f"ropewalk/{module.relative_to(library).as_posix()}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            code.writestr(entry, module.read_bytes())
    return archive
