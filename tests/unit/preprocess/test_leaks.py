"""Values in two splits are found also when not all can be kept."""

import numpy as np
import pytest

from ropewalk.fingerprints import mixed
from ropewalk.preprocess.leaks import SharedPrints


@pytest.mark.parametrize(("most", "error"), [(2**20, 0), (4000, 0.15)])
def test_shared_values_are_counted_exactly_or_from_a_share_of_them(most: int, error: float) -> None:
    prints = mixed(np.arange(60_000, dtype=np.uint64))
    shared = SharedPrints(most)
    shared.add(prints, np.repeat([0, 1, 2], 20_000).astype(np.int8))
    shared.add(prints[:5000], np.full(5000, 2, np.int8))
    ((one, other, count),) = shared.shared()
    assert (one, other) == ("train", "test")
    assert count == pytest.approx(5000, rel=error)
    assert (shared.one_in > 1) == (error > 0)
