import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ropewalk.training.metrics import roc_auc, validation_score


@pytest.mark.parametrize("decimals", [1, 6], ids=["many ties", "few ties"])
def test_roc_auc_equals_scikit_learns(decimals: int) -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.normal(size=5000).round(decimals), rng.integers(0, 2, 5000)
    ours = roc_auc(torch.from_numpy(scores).float(), torch.from_numpy(positive).float())
    assert ours == pytest.approx(roc_auc_score(positive, scores), abs=1e-9)


def test_roc_auc_of_one_class_is_a_half() -> None:
    assert roc_auc(torch.arange(3.0), torch.ones(3)) == 0.5


def test_rmse_is_in_the_targets_own_unit() -> None:
    assert validation_score(torch.zeros(2, 1), torch.ones(2), "regression", loss=4.0, scale=10.0) == 20.0
