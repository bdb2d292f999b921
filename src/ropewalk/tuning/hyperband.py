"""Hyperband's brackets, run rung by rung: Li et al. 2018, Journal of Machine Learning Research 18(185), algorithm 1.

As in Katib, a setting that moves up is a new trial with more of the resource, not one that goes on.
"""

import math
from dataclasses import dataclass

from ropewalk.tuning.algorithms import read_setting
from ropewalk.tuning.space import distributions, typed_values
from ropewalk.tuning.spec import Experiment, Parameter, Value
from ropewalk.tuning.suggestions import Exhausted, Suggestion, Wait, chosen_seed


@dataclass(frozen=True)
class Rung:
    """Trials that get the same amount of the resource."""

    trials: int
    """How many."""
    resource: float
    """How much each gets."""
    is_first: bool
    """Whether its settings are drawn; otherwise they are the best of the rung before."""


def rungs(most: float, eta: int) -> list[Rung]:
    """Return all rungs of all brackets in their order.

    Args:
        most: The most of the resource that a trial gets, R in the paper.
        eta: Of this many trials one moves up.
    """
    # The small addition keeps 27 = 3 ** 3 from being rounded down to two rungs.
    top = math.floor(math.log(most, eta) + 1e-9)
    found = []
    for bracket in range(top, -1, -1):
        count = math.ceil((top + 1) / (bracket + 1) * eta**bracket)
        found += [
            Rung(count // eta**place, most / eta ** (bracket - place), is_first=place == 0)
            for place in range(bracket + 1)
        ]
    return found


class HyperbandSuggester:
    """Fills rung after rung; a rung starts when every trial of the one before it has ended."""

    notes: tuple[str, ...] = ()

    def __init__(self, experiment: Experiment, seed: int) -> None:
        """Start with the first rung of the widest bracket."""
        import optuna

        settings = experiment.algorithm.settings
        self._resource = next(each for each in experiment.parameters if each.name == settings["resource_name"])
        self._others = [each for each in experiment.parameters if each is not self._resource]
        self._objective = experiment.objective
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(sampler=optuna.samplers.RandomSampler(chosen_seed(settings, seed)))
        self._distributions = distributions(self._others)
        self._rungs = iter(rungs(read_setting(settings, "r_l", 1.0), read_setting(settings, "eta", 3)))
        self._queue: list[dict[str, Value]] = []
        self._rung: dict[int, dict[str, Value]] = {}
        self._ended: dict[int, float | None] = {}
        self._asked = 0

    def ask(self) -> Suggestion:
        """Return the next setting of the rung, Wait until the rung is complete, Exhausted after the last."""
        # A rung is empty when all trials of the one before it have failed.
        while not self._queue:
            if len(self._ended) < len(self._rung):
                return Wait()
            rung = next(self._rungs, None)
            if rung is None:
                return Exhausted()
            self._fill(rung)
        values = self._queue.pop(0)
        self._rung[self._asked] = values
        self._asked += 1
        return values

    def tell(self, number: int, value: float | None) -> None:
        """Take up a trial's value; one without any does not move up."""
        self._ended[number] = value

    def _fill(self, rung: Rung) -> None:
        settings = [self._draw() for _ in range(rung.trials)] if rung.is_first else self._best(rung.trials)
        resource = resource_value(self._resource, rung.resource)
        self._queue = [{**each, self._resource.name: resource} for each in settings]
        self._rung, self._ended = {}, {}

    def _best(self, count: int) -> list[dict[str, Value]]:
        sign = 1 if self._objective.type == "minimize" else -1
        finite = [(sign * value, number) for number, value in self._ended.items() if value is not None]
        return [self._rung[number] for _, number in sorted(finite)[:count]]

    def _draw(self) -> dict[str, Value]:
        return typed_values(self._others, self._study.ask(self._distributions).params)


def resource_value(parameter: Parameter, amount: float) -> Value:
    """Return an amount of the resource as the parameter's value: whole for an int, at least 1."""
    return max(1, round(amount)) if parameter.type == "int" else amount
