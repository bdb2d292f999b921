import pytest
import torch
from torch import nn

from ropewalk.training.optimizer import AdamW


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def test_steps_are_those_of_torchs_adamw() -> None:
    mine, theirs = network(), network()
    optimizer = AdamW(mine.parameters(), weight_decay=0.1)
    reference = torch.optim.AdamW(theirs.parameters(), lr=1.0, weight_decay=0.1, fused=True)
    for step in range(20):
        rate = 0.01 * (step + 1)
        inputs = torch.randn(8, 3)
        for each in (mine, theirs):
            each.zero_grad()
            each(inputs).square().mean().backward()
        optimizer.rate.fill_(rate)
        reference.param_groups[0]["lr"] = rate
        optimizer.step()
        reference.step()
    for found, expected in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_parameters_without_a_gradient_stay() -> None:
    learned = network()
    learned[0].weight.requires_grad_(requires_grad=False)
    before = [parameter.clone() for parameter in learned.parameters()]
    optimizer = AdamW(learned.parameters(), weight_decay=0.1)
    optimizer.rate.fill_(0.1)
    learned[2].bias.grad = torch.ones(1)
    optimizer.step()
    changed = [not torch.equal(one, two) for one, two in zip(before, learned.parameters(), strict=True)]
    assert changed == [False, False, False, True]


def test_the_state_is_all_that_the_next_step_depends_on() -> None:
    one, two = network(), network()
    first, second = AdamW(one.parameters(), weight_decay=0.0), AdamW(two.parameters(), weight_decay=0.0)
    first.rate.fill_(0.1)
    second.rate.fill_(0.1)
    inputs = torch.randn(8, 3)

    def step(learned: nn.Module, optimizer: AdamW) -> None:
        learned.zero_grad()
        learned(inputs).square().mean().backward()
        optimizer.step()

    for _ in range(3):
        step(one, first)
    with torch.no_grad():
        for place, value in zip(two.parameters(), one.parameters(), strict=True):
            place.copy_(value)
        for name, place in second.tensors.items():
            place.copy_(first.tensors[name])
    step(one, first)
    step(two, second)
    for found, expected in zip(two.parameters(), one.parameters(), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_first_step_moves_by_the_rate(steps: int) -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = AdamW([weight], weight_decay=0.0)
    optimizer.rate.fill_(0.01)
    for _ in range(steps):
        weight.grad = torch.full((1,), 3.0)
        optimizer.step()
    assert float(weight.detach()) == pytest.approx(-0.01 * steps, rel=1e-4)
