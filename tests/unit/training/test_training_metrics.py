import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ropewalk.training.metrics import combine_members, loss_function, roc_auc, validation_score


@pytest.mark.parametrize("decimals", [1, 6], ids=["many ties", "few ties"])
def test_roc_auc_equals_scikit_learns(decimals: int) -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=5000).round(decimals), rng.integers(0, 2, 5000)
    ours = roc_auc(torch.from_numpy(scores).float(), torch.from_numpy(positive).float())
    assert ours == pytest.approx(roc_auc_score(positive, scores), abs=1e-9)


def test_weighted_roc_auc_equals_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    scores, positive, weight = rng.normal(size=500).round(1), rng.integers(0, 2, 500), rng.choice([0.0, 0.5, 3.0], 500)
    ours = roc_auc(*(torch.from_numpy(part) for part in (scores, positive, weight)))
    assert ours == pytest.approx(roc_auc_score(positive, scores, sample_weight=weight), abs=1e-9)


def test_roc_auc_of_one_class_is_a_half() -> None:
    assert roc_auc(torch.arange(3.0), torch.ones(3)) == 0.5


def test_rmse_is_in_the_targets_own_unit() -> None:
    assert validation_score(torch.zeros(2, 1), torch.ones(2), "regression", loss=4.0, scale=10.0) == 20.0


def example(task: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of two members for five rows, and their target."""
    torch.manual_seed(0)
    outputs = torch.randn(5, 2, 3 if task == "multiclass" else 1)
    target = {
        "binary": torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0]),
        "multiclass": torch.tensor([0, 1, 2, 2, 1]),
        "regression": torch.randn(5),
    }[task]
    return outputs, target


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_weights_are_shares_in_the_mean_loss(task: str) -> None:
    outputs, target = example(task)
    each = torch.stack([loss_function(outputs[row : row + 1, 0], target[row : row + 1], task) for row in range(5)])
    weight = torch.tensor([0.0, 2.0, 1.0, 0.5, 1.5])
    assert float(loss_function(outputs[:, 0], target, task)) == pytest.approx(float(each.mean()))
    assert float(loss_function(outputs[:, 0], target, task, weight)) == pytest.approx(float((each * weight).mean()))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_loss_of_an_ensemble_is_the_mean_of_its_members(task: str) -> None:
    outputs, target = example(task)
    for weight in (None, torch.tensor([0.0, 2.0, 1.0, 0.5, 1.5])):
        members = [float(loss_function(outputs[:, member], target, task, weight)) for member in (0, 1)]
        assert float(loss_function(outputs, target, task, weight)) == pytest.approx(sum(members) / 2)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_an_ensemble_predicts_the_mean_of_its_members(task: str) -> None:
    outputs, _ = example(task)
    read = {"binary": torch.sigmoid, "multiclass": lambda x: x.softmax(-1), "regression": lambda x: x}[task]
    assert torch.allclose(read(combine_members(outputs, task)), read(outputs).mean(dim=1), atol=1e-6)
    assert torch.equal(combine_members(outputs[:, 0], task), outputs[:, 0])


def test_certain_members_combine_to_finite_logits() -> None:
    outputs = torch.tensor([[[200.0], [300.0]], [[-200.0], [200.0]]])
    assert combine_members(outputs, "binary").flatten().tolist() == pytest.approx([200.693, 0.0], abs=1e-3)
