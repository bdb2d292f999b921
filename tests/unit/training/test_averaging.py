import pytest
import torch
from torch import nn

from ropewalk.training.averaging import Average


def averaged(values: list[float], *, steps_per_epoch: int) -> float:
    network = nn.Linear(1, 1, bias=False)
    average = Average(network, steps_per_epoch=steps_per_epoch)
    for done, value in enumerate(values, start=1):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update(done)
    return float(average.network.weight)


def test_the_first_step_is_taken_over_and_the_next_ones_are_mixed_in() -> None:
    assert averaged([5.0], steps_per_epoch=10) == 5.0
    assert averaged([5.0, 16.0], steps_per_epoch=10) == pytest.approx(5 + 11 * 9 / 11)


def test_in_the_end_the_average_reaches_back_over_about_an_epoch() -> None:
    steps = 20
    values = [0.0] * 400 + [1.0] * steps
    assert averaged(values, steps_per_epoch=steps) == pytest.approx(1 - (1 - 1 / steps) ** steps, abs=1e-5)


def test_taking_in_one_step_of_a_few_gives_nearly_the_same_average() -> None:
    steps = 640
    values = [0.0] * (20 * steps) + [1.0] * steps
    assert averaged(values, steps_per_epoch=steps) == pytest.approx(1 - (1 - 1 / steps) ** steps, abs=0.01)


def test_what_a_network_measures_is_copied() -> None:
    network = nn.BatchNorm1d(2)
    average = Average(network, steps_per_epoch=4)
    network(torch.randn(8, 2) + 3)
    average.copy_buffers()
    assert torch.equal(average.network.running_mean, network.running_mean)
    assert not average.network.weight.requires_grad
