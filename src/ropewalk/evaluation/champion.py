"""The model in use, scored on the rows that the new one is scored on; or why that cannot be done."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ropewalk.artifacts import CHAMPION, Manifest, read_artifact
from ropewalk.errors import ArtifactError, ConfigError, DataError, TrainingError
from ropewalk.evaluation.metrics import check_predictions
from ropewalk.evaluation.scorers import Floats
from ropewalk.evaluation.speed import predict
from ropewalk.training.model import TrainedModel, load_model

MODEL_FOLDER = "model"
"""Folder of the champion artifact that holds its model."""


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version of the registered model that is in use."""

    version: str
    """Its number in the registry."""
    run_id: str
    """MLflow run that made it; "" when it has none."""
    digest: str
    """Digest of its model artifact; "" when unknown."""
    problem: str
    """Why it cannot be compared with; "" when it can."""
    predicted: Floats | None
    """Its predictions for the test rows, classes in the new model's order; None with a problem."""
    seconds: float
    """Time of its training; 0 when unknown."""

    def described(self) -> dict[str, str]:
        """Return what `decision.json` tells of it."""
        return {"version": self.version, "run_id": self.run_id, "digest": self.digest, "problem": self.problem}


def score_champion(artifact: Path | None, challenger: TrainedModel, test: pa.Table) -> Champion | None:
    """Return the champion with its predictions for `test`; None when there is no champion yet.

    A champion that is damaged, of another format, or made for other columns, classes or targets is returned with the
    problem instead: what to do then is for the decision to say.

    Args:
        artifact: Champion artifact, its model in the folder `model`; None, or without a version: there is no champion.
        challenger: The new model, whose task, target and classes the champion must share.
        test: Raw test rows.

    Raises:
        ArtifactError: The artifact itself is unfinished, altered or no champion.
    """
    if artifact is None:
        return None
    manifest = read_artifact(artifact, CHAMPION)
    if not manifest.facts.get("version"):
        return None
    if manifest.facts["problem"]:
        return _champion(manifest, problem=str(manifest.facts["problem"]))
    try:
        model = load_model(artifact / MODEL_FOLDER)
        predicted = _in_order(model, challenger, predict(model, test))
        check_predictions(predicted)
    except (ArtifactError, ConfigError, DataError, TrainingError) as error:
        return _champion(manifest, problem=str(error))
    return _champion(manifest, predicted=predicted, seconds=float(model.manifest.facts.get("seconds", 0.0)))


def _champion(
    manifest: Manifest, *, problem: str = "", predicted: Floats | None = None, seconds: float = 0.0
) -> Champion:
    facts = manifest.facts
    return Champion(
        version=str(facts["version"]),
        run_id=str(facts.get("run_id", "")),
        digest=str(facts.get("digest", "")),
        problem=problem,
        predicted=predicted,
        seconds=seconds,
    )


def _in_order(champion: TrainedModel, challenger: TrainedModel, predicted: Floats) -> Floats:
    """Return the champion's predictions with its classes in the challenger's order.

    Raises:
        DataError: It predicts something else.
    """
    if (champion.task, champion.target) != (challenger.task, challenger.target):
        raise DataError(
            f"It predicts {champion.target!r} ({champion.task}), the new model {challenger.target!r} "
            f"({challenger.task})."
        )
    if set(champion.classes) != set(challenger.classes):
        raise DataError(
            f"Its classes are {', '.join(champion.classes)}; those of the new model {', '.join(challenger.classes)}."
        )
    places = [champion.classes.index(name) for name in challenger.classes]
    return np.asarray(predicted[:, places]) if places else predicted
