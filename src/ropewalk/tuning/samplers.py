"""Suggestions by Optuna's samplers, under Katib's names and settings."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ropewalk.tuning.algorithms import read_setting
from ropewalk.tuning.space import distributions, is_logarithmic, typed_values
from ropewalk.tuning.spec import Experiment, Parameter
from ropewalk.tuning.suggestions import Suggestion, chosen_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

_UNHEEDED = {
    "tpe": ("gamma", "prior_weight"),
    "bayesianoptimization": ("base_estimator", "acq_func", "acq_optimizer"),
}
"""Settings without a counterpart in Optuna 5."""


class OptunaSuggester:
    """Asks one of Optuna's samplers."""

    def __init__(self, experiment: Experiment, seed: int) -> None:
        """Start a study in memory; going on with an experiment repeats its calls."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        algorithm = experiment.algorithm
        self._parameters = experiment.parameters
        self._distributions = distributions(experiment.parameters)
        self._bad = optuna.trial.TrialState.PRUNED
        with _quiet():
            sampler = _sampler(experiment, chosen_seed(algorithm.settings, seed))
            self._study = optuna.create_study(direction=experiment.objective.type, sampler=sampler)
        self._asked: list[Any] = []
        self.notes = _notes(algorithm.name, algorithm.settings)

    def ask(self) -> Suggestion:
        """Return what the sampler suggests."""
        with _quiet():
            trial = self._study.ask(self._distributions)
        self._asked.append(trial)
        return typed_values(self._parameters, trial.params)

    def tell(self, number: int, value: float | None) -> None:
        """Tell the sampler a finite value, or that the place is a bad one.

        An infinite value would be its best, and of a trial that is told as failed TPE remembers nothing, so that it
        asks for the same again. A pruned trial without values counts as worse than all that have one.
        """
        with _quiet():
            if value is None or not math.isfinite(value):
                self._study.tell(self._asked[number], state=self._bad)
            else:
                self._study.tell(self._asked[number], value)


def _sampler(experiment: Experiment, seed: int) -> "BaseSampler":
    """Return the sampler that has Katib's name, with those of its settings that there are.

    TPE takes other running trials for bad ones (constant_liar), so that parallel trials differ.
    """
    from optuna import samplers

    name, settings = experiment.algorithm.name, experiment.algorithm.settings
    if name == "random":
        return samplers.RandomSampler(seed=seed)
    if name == "tpe":
        candidates = read_setting(settings, "n_EI_candidates", 24)
        return samplers.TPESampler(seed=seed, multivariate=False, constant_liar=True, n_ei_candidates=candidates)
    if name == "multivariate-tpe":
        return samplers.TPESampler(
            seed=seed,
            multivariate=True,
            constant_liar=True,
            n_startup_trials=read_setting(settings, "n_startup_trials", 10),
            n_ei_candidates=read_setting(settings, "n_ei_candidates", 24),
        )
    if name == "sobol":
        return samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed, warn_independent_sampling=False)
    if name == "bayesianoptimization":
        return samplers.GPSampler(seed=seed, n_startup_trials=read_setting(settings, "n_initial_points", 10))
    assert name == "cmaes", f"a checked experiment has no algorithm {name!r}"
    sigma = float(settings["sigma"]) / _narrowest(experiment.parameters) if "sigma" in settings else None
    return samplers.CmaEsSampler(seed=seed, sigma0=sigma, n_startup_trials=1, warn_independent_sampling=False)


def _narrowest(parameters: Sequence[Parameter]) -> float:
    """Return the width of the narrowest range: Katib's sigma is in the parameters' units, Optuna's a share of them.

    Both take by default a sixth: of the narrowest range (goptuna, cmaes/sampler.go), and of all.
    """
    return min(
        math.log(parameter.max / parameter.min) if is_logarithmic(parameter) else parameter.max - parameter.min
        for parameter in parameters
        if parameter.min is not None and parameter.max is not None
    )


def _notes(name: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    unheeded = [each for each in _UNHEEDED.get(name, ()) if each in settings]
    if name == "cmaes" and settings.get("restart_strategy", "none") != "none":
        unheeded.append("restart_strategy")
    return tuple(f"{name} runs here without {each}={settings[each]}: Optuna has no such setting." for each in unheeded)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out that parts of Optuna are experimental, or will go in its next major version, which is not allowed."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", message="`sigma0` has been deprecated", category=FutureWarning)
        yield
