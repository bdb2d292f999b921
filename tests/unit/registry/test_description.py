import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ropewalk.artifacts import MODEL, write_artifact
from ropewalk.errors import ArtifactError
from ropewalk.registry.description import describe
from ropewalk.training.model import load_model


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_description_tells_what_the_loaded_model_does(task: str, make_model: Callable[..., Path]) -> None:
    found, loaded = describe(make_model(task=task)), load_model(make_model(task=task))
    names = ("task", "target", "classes", "requirements", "history", "manifest")
    assert [getattr(found, name) for name in names] == [getattr(loaded, name) for name in names]


def test_trees_need_the_library_that_they_were_fitted_with(fitted: Callable[..., Path]) -> None:
    model = fitted("binary", "gbdt") / "model"
    assert describe(model).requirements == load_model(model).requirements


def test_changed_bytes_are_refused(make_model: Callable[..., Path]) -> None:
    model = make_model()
    (model / "weights.safetensors").write_bytes(b"\x00")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors' has changed"):
        describe(model)


def test_a_model_of_an_older_format_is_refused(make_model: Callable[..., Path], tmp_path: Path) -> None:
    model = make_model()
    with write_artifact(tmp_path / "old", MODEL) as draft:
        for file in model.iterdir():
            if file.name != "manifest.json":
                (draft.folder / file.name).write_bytes(file.read_bytes())
        settings = json.loads((model / "model.json").read_text(encoding="utf-8"))
        (draft.folder / "model.json").write_text(json.dumps(settings | {"format_version": 1}), encoding="utf-8")
    with pytest.raises(ArtifactError, match="model of format 1; this Ropewalk registers 2"):
        describe(tmp_path / "old")


REGISTER = """
import sys
from pathlib import Path
from ropewalk.registry.register import register
register(*map(Path, sys.argv[1:]))
sys.exit("torch" in sys.modules)
"""


def test_registering_does_not_import_torch(store: str, subject: tuple[Path, Path, Path]) -> None:
    ended = subprocess.run([sys.executable, "-c", REGISTER, *map(str, subject)], check=False, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
