"""Script that MLflow runs to load a registered model: the code is logged as it stands here, so nothing is pickled."""

import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class ServedModel(PythonModel):
    """Predicts from raw columns by the model artifact that was logged beside this script."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model artifact after checking every byte of it, by the library code that was logged beside it."""
        sys.path.insert(0, context.artifacts["code"])
        from ropewalk.training.model import load_model

        self._model = load_model(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return `prediction` per row, and `probability_<class>` for a classifier."""
        from ropewalk.registry.frames import predict_frame

        return predict_frame(self._model, model_input)


mlflow.models.set_model(ServedModel())
