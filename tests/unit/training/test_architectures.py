import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from ropewalk.errors import ArtifactError, ConfigError
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.preprocess.learning import learn_columns
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.preprocess.splits import read_split
from ropewalk.training.architectures import build_network
from ropewalk.training.architectures.schema import CategoryInput, schema_of
from ropewalk.training.config import TrainingConfig
from ropewalk.training.model import load_model

OWN = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, schema, members=0):
        super().__init__()
        self.members = members
        self.layers = nn.Sequential(nn.LazyLinear(16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, schema.outputs))

    def forward(self, numbers_BN, missing_BN, codes_BC):
        outputs = self.layers(torch.cat([numbers_BN, missing_BN, (codes_BC == 2).float()], dim=1))
        if self.members:
            return torch.stack([outputs * (1 + member) for member in range(self.members)], dim=1)
        return outputs


def build(schema):
    return eager(Net(schema), schema)


def build_ensemble(schema):
    return eager(Net(schema, members=3), schema)


def eager(net, schema):
    numbers = torch.zeros(2, len(schema.numbers))
    net(numbers, numbers, torch.zeros(2, len(schema.categories), dtype=torch.int32))
    return net


class Wide(nn.Module):
    def forward(self, numbers_BN, missing_BN, codes_BC):
        return numbers_BN.new_zeros(len(numbers_BN), 7)


def build_wide(schema):
    return Wide()


def build_list(schema):
    return [schema]


class Broken(nn.Module):
    def forward(self, numbers_BN, missing_BN, codes_BC):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def build_broken(schema):
    return Broken()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File of the importable module `own_networks`, which is forgotten after the test."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "own_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    yield folder / "own_networks.py"
    sys.modules.pop("own_networks", None)


@pytest.fixture
def preprocessor(make_frame: Callable) -> Preprocessor:
    table = pa.Table.from_pandas(make_frame("multiclass"), preserve_index=False)
    columns = tuple(learn_columns(table, "y", PreprocessConfig()))
    return Preprocessor(task="multiclass", target="y", classes=("0", "1", "2"), columns=columns)


def test_the_schema_names_numbers_categories_and_outputs(preprocessor: Preprocessor) -> None:
    schema = schema_of(preprocessor)
    assert (schema.task, schema.classes, schema.outputs) == ("multiclass", ("0", "1", "2"), 3)
    assert [(number.name, number.has_missing) for number in schema.numbers] == [("x", True), ("noise", False)]
    assert schema.categories == (CategoryInput(name="city", codes=5),)
    assert all(np.all(np.diff(number.edges) > 0) and len(number.edges) == 49 for number in schema.numbers)
    assert schema.numbers[1].edges[24] == pytest.approx(0, abs=1e-9)


def test_the_parts_of_a_time_are_numbers_of_their_own(raw_rows) -> None:
    table = pa.Table.from_pandas(raw_rows, preserve_index=False)
    columns = tuple(learn_columns(table, "sold", PreprocessConfig()))
    schema = schema_of(Preprocessor(task="binary", target="sold", classes=("no", "yes"), columns=columns))
    assert schema.outputs == 1
    assert {number.name for number in schema.numbers} >= {"size", "built.hour", "built.day_of_week"}


@pytest.mark.parametrize("architecture", ["tabular", "mlp", "linear"])
def test_a_network_takes_extreme_rows_and_gives_finite_outputs(architecture: str, preprocessor: Preprocessor) -> None:
    network = build_network(preprocessor, TrainingConfig(architecture=architecture)).eval()
    numbers_BN = torch.tensor([[0.0, 0.0], [1e30, -1e30], [-3.0, 3.0]])
    codes_BC = torch.tensor([[0], [1], [4]], dtype=torch.int32)
    outputs = network(numbers_BN, (numbers_BN == 0).float(), codes_BC)
    assert outputs.shape == (3, 3)
    assert outputs.isfinite().all()


@pytest.mark.parametrize("architecture", ["tabular", "mlp", "linear"])
def test_a_column_without_numbers_or_categories_does_no_harm(architecture: str, raw_rows) -> None:
    for name in ("size", "garden"):
        table = pa.Table.from_pandas(raw_rows[[name, "sold"]], preserve_index=False)
        columns = tuple(learn_columns(table, "sold", PreprocessConfig()))
        learned = Preprocessor(task="binary", target="sold", classes=("no", "yes"), columns=columns)
        encoded = learned.encode(table)
        inputs = (torch.from_numpy(part) for part in (encoded.numbers_BN, encoded.missing_BN, encoded.codes_BC))
        assert build_network(learned, TrainingConfig(architecture=architecture))(*inputs).shape == (120, 1)


@pytest.mark.parametrize(("architecture", "least"), [("tabular", 0.97), ("mlp", 0.97), ("linear", 0.97)])
def test_each_network_learns_the_same_rows(architecture: str, least: float, make_frame, fit_to) -> None:
    config = TrainingConfig(architecture=architecture, width=32, depth=2, number_embedding=4, learning_rate=1e-2)
    folder, manifest = fit_to(make_frame("binary"), "binary", config)
    assert manifest.facts["architecture"] == architecture
    assert manifest.facts["validation_roc_auc"] > least
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    assert (model.predict(test).argmax(axis=1) == model.encode_target(test)).mean() > 0.85


@pytest.mark.parametrize("function", ["build", "build_ensemble"])
def test_the_users_own_network_is_trained_saved_and_loaded(function: str, own: Path, make_frame, fit_to) -> None:
    config = TrainingConfig(architecture=f"own_networks:{function}", learning_rate=1e-2)
    folder, manifest = fit_to(make_frame("multiclass"), "multiclass", config)
    model, (test, _) = load_model(folder / "model"), read_split(folder / "test")
    probabilities = model.predict(test)
    assert probabilities.shape == (test.num_rows, 3)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert (probabilities.argmax(axis=1) == model.encode_target(test)).mean() > 0.7
    assert json.loads((folder / "model" / "model.json").read_text())["architecture"] == f"own_networks:{function}"
    assert manifest.facts["architecture"] == f"own_networks:{function}"


def test_a_model_whose_own_module_is_absent_says_what_it_needs(own: Path, make_frame, fit_to, monkeypatch) -> None:
    folder, _ = fit_to(make_frame("binary"), "binary", TrainingConfig(architecture="own_networks:build"), epochs=1)
    own.write_text(OWN.replace("nn.LazyLinear(16)", "nn.LazyLinear(16, bias=False)"))
    sys.modules.pop("own_networks")
    with pytest.raises(ArtifactError, match="builds another one now"):
        load_model(folder / "model")
    own.unlink()
    sys.modules.pop("own_networks")
    with pytest.raises(ArtifactError, match=r"'own_networks:build' builds.*finds no module 'own_networks'.*PYTHONPATH"):
        load_model(folder / "model")


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("nowhere.networks:build", r"Python finds no module 'nowhere' here.*PYTHONPATH"),
        ("own_networks:biuld", r"has no function 'biuld'\. Did you mean 'build'"),
        ("own_networks:build_list", r"returned list: it must return a torch\.nn\.Module"),
        ("own_networks:build_wide", r"gave \(4, 7\), torch\.float32 for 4 rows.*shape \(4, 3\)"),
    ],
)
def test_a_wrong_own_architecture_is_refused(
    architecture: str, message: str, own: Path, preprocessor: Preprocessor
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network(preprocessor, TrainingConfig(architecture=architecture))


def test_an_error_inside_the_users_network_names_it(own: Path, preprocessor: Preprocessor) -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied") as raised:
        build_network(preprocessor, TrainingConfig(architecture="own_networks:build_broken"))
    assert raised.value.__notes__ == [
        "Raised by the network of training.architecture='own_networks:build_broken' on 4 made-up rows."
    ]


def test_trying_the_users_network_leaves_it_and_the_random_state_as_they_were(own: Path, preprocessor) -> None:
    torch.manual_seed(0)
    network = build_network(preprocessor, TrainingConfig(architecture="own_networks:build"))
    after = torch.rand(1)
    import own_networks

    torch.manual_seed(0)
    fresh = own_networks.build(schema_of(preprocessor))
    assert torch.equal(after, torch.rand(1))
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), fresh.state_dict().values(), strict=True)
    )
