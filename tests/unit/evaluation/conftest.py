"""Champions to compare with."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.artifacts import CHAMPION, MODEL, read_artifact, write_artifact


@pytest.fixture
def champion_of(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a model as the champion of the registered model `measured`, as it is fetched."""

    def make(model: Path | None, *, version: str = "3", problem: str = "") -> Path:
        path = tmp_path / "champion"
        digest = read_artifact(model, MODEL).digest if model else ""
        with write_artifact(path, CHAMPION) as draft:
            if model and not problem:
                shutil.copytree(model, draft.folder / "model")
            draft.facts.update(name="measured", version=version, run_id="r1", digest=digest, problem=problem)
        return path

    return make
