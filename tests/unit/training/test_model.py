import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.artifacts import MODEL, write_artifact, write_json
from ropewalk.errors import ArtifactError
from ropewalk.training.model import load_model


def test_a_model_of_an_older_format_is_refused(make_model: Callable[..., Path], tmp_path: Path) -> None:
    model = make_model()
    with write_artifact(tmp_path / "older", MODEL) as draft:
        for name in ("weights.safetensors", "preprocessor.json", "history.json"):
            shutil.copy2(model / name, draft.folder)
        description = json.loads((model / "model.json").read_text(encoding="utf-8"))
        write_json(draft.folder / "model.json", {**description, "format_version": 1})
    with pytest.raises(ArtifactError, match=r"holds a model of format 1; Ropewalk \S+ reads 2\. Train it again"):
        load_model(tmp_path / "older")


def test_a_model_names_what_loading_needs(make_model: Callable[..., Path]) -> None:
    model = load_model(make_model())
    assert model.requirements == ("torch", "safetensors")
    assert model.feature_names == ["size", "rooms", "colour", "garden", "built"]
