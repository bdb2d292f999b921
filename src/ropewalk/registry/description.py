"""Description: what registering needs to know of a model, without loading what it learned.

Its evaluation has loaded the same bytes and scored them, so that loading them again would tell nothing new, and would
cost importing torch and filling a network.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.artifacts import MODEL, Manifest, read_artifact
from ropewalk.errors import ArtifactError
from ropewalk.preprocess.preprocessor import Preprocessor, load_preprocessor
from ropewalk.training.model import DESCRIPTION, FORMAT_VERSION, HISTORY

_OF_ANY_MODEL = {"ropewalk", "numpy", "pyarrow"}


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """A model artifact, every byte verified."""

    preprocessor: Preprocessor
    manifest: Manifest
    settings: dict[str, Any]
    """Content of its description: `architecture`, `training`, `environment` and more."""
    history: list[dict[str, Any]]
    """Per epoch."""

    @property
    def task(self) -> str:
        """One of "binary", "multiclass" and "regression"."""
        return self.preprocessor.task

    @property
    def target(self) -> str:
        """Name of the target column."""
        return self.preprocessor.target

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the probabilities; empty for regression."""
        return list(self.preprocessor.classes)

    @property
    def requirements(self) -> tuple[str, ...]:
        """Distributions that loading the model needs because of its architecture."""
        return tuple(name for name in self.settings["environment"] if name not in _OF_ANY_MODEL)


def describe(path: Path) -> ModelDescription:
    """Return the description of the model artifact at `path`.

    Raises:
        ArtifactError: It is missing, altered, or of a format that this release cannot read.
    """
    manifest = read_artifact(path, MODEL)
    settings = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    if settings["format_version"] != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} holds a model of format {settings['format_version']}; this Ropewalk registers {FORMAT_VERSION}. "
            f"Train it again, or use the release that made it ({manifest.created_by})."
        )
    return ModelDescription(
        preprocessor=load_preprocessor(path),
        manifest=manifest,
        settings=settings,
        history=json.loads((path / HISTORY).read_text(encoding="utf-8")),
    )
