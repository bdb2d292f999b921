"""A model that calls the user's own code carries it: it is loaded where there is neither that code nor Ropewalk."""

import importlib.machinery
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.preprocess import preprocess
from ropewalk.preprocess.splits import read_split
from ropewalk.registry.frames import predict_frame
from ropewalk.registry.own_code import carry_own_code
from ropewalk.registry.register import register
from ropewalk.tracking import connect
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model
from ropewalk.training.train import train

FILES = {
    "own_shop/__init__.py": "",
    "own_shop/networks.py": """
import torch
from own_blocks import block

from . import sizes

class Network(torch.nn.Module):
    def __init__(self, schema):
        super().__init__()
        self.inside = block(len(schema.numbers), sizes.WIDTH)
        self.out = torch.nn.Linear(sizes.WIDTH, schema.outputs)

    def forward(self, numbers_BN, missing_BN, codes_BC):
        return self.out(self.inside(numbers_BN))

def build(schema):
    return Network(schema)
""",
    "own_shop/sizes.py": "WIDTH = 8\n",
    "own_blocks.py": """
import psutil
from torch import nn

def block(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU())
""",
    "own_rows.py": "def prepare(frame):\n    return frame.assign(area=frame['length'] * frame['width'])\n",
}
ALONE = """
import json, sys
import mlflow.pyfunc, pandas as pd
assert not any(name.startswith("own_") for name in sys.modules)
model = mlflow.pyfunc.load_model(sys.argv[1])
scores = model.predict(pd.read_json(sys.argv[2], orient="split"))
print(json.dumps({"from": sys.modules["own_rows"].__file__, "scores": scores["probability_1"].tolist()}))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of the importable modules in FILES, which are forgotten after the test."""
    folder = tmp_path / "own"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("own_")]:
        sys.modules.pop(name)


def test_a_model_is_loaded_without_the_users_modules_on_the_path(
    own: Path,
    store: str,
    tmp_path: Path,
    make_raw: Callable[..., Path],
    make_evaluation: Callable[..., Path],
    report: Path,
) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"length": random.normal(size=300), "width": random.normal(size=300)})
    raw = make_raw(table.assign(y=(table["length"] * table["width"] > 0).astype(int)))
    paths = {name: tmp_path / name for name in ("train", "validation", "test", "preprocessor")}
    config = PreprocessConfig(function="own_rows:prepare")
    preprocess(raw, **paths, target="y", task="binary", config=config)
    train(
        **{name: paths[name] for name in ("train", "validation", "preprocessor")},
        model=tmp_path / "model",
        epochs=2,
        config=TrainingConfig(architecture="own_shop.networks:build"),
    )
    done = register(tmp_path / "model", make_evaluation(tmp_path / "model"), report, name="own", run_id="r1")
    source = Path(connect(store).get_model_version("own", done.version).source.removeprefix("file://"))
    assert {"own_shop", "own_blocks.py", "own_rows.py"} <= {each.name for each in (source / "code").iterdir()}
    assert not list(source.rglob("*.pyc"))
    assert "psutil==" in (source / "requirements.txt").read_text(encoding="utf-8")
    rows = read_split(paths["test"])[0].to_pandas().drop(columns="y")
    expected = predict_frame(load_model(tmp_path / "model"), rows)
    rows.to_json(tmp_path / "rows.json", orient="split", double_precision=15)
    found = subprocess.run(
        [sys.executable, "-S", "-c", ALONE, done.model_uri, str(tmp_path / "rows.json")],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(np.__file__).parents[1]),
            "MLFLOW_TRACKING_URI": store,
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout.splitlines()[-1])
    assert not told["from"].startswith(str(own))
    np.testing.assert_allclose(told["scores"], expected["probability_1"], atol=1e-6)


def test_a_module_without_source_is_named(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (own / f"own_compiled{suffix}").write_bytes(b"")
    (tmp_path / "code").mkdir()
    assert carry_own_code(["own_compiled:build", "own_rows:prepare"], tmp_path / "code") == []
    assert [file.name for file in (tmp_path / "code").iterdir()] == ["own_rows.py"]
    told = capsys.readouterr().out
    assert "'own_compiled', of which there is no Python source" in told
    assert "install it wherever the model is loaded" in told
