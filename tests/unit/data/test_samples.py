"""The samples that come with Ropewalk are scikit-learn's, byte for byte as pandas writes them."""

import pytest
from sklearn import datasets

from ropewalk.data.samples import TARGETS, write_sample

LOADERS = {
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "diabetes": lambda **options: datasets.load_diabetes(scaled=False, **options),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_sample_is_scikit_learns_table(name, tmp_path):
    sample = LOADERS[name](as_frame=True)
    target = sample.target
    if "target_names" in sample:
        target = target.map(dict(enumerate(map(str, sample.target_names))))
    assert write_sample(name, tmp_path) == TARGETS[name]
    assert (tmp_path / f"{name}.csv").read_text() == sample.data.assign(**{TARGETS[name]: target}).to_csv(index=False)
