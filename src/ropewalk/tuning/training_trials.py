"""Experiments whose trials train a model on the splits of a pipeline."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from ropewalk.config import parse_config
from ropewalk.errors import ConfigError
from ropewalk.training.config import TrainingConfig
from ropewalk.tuning.check import check_experiment, find_problems
from ropewalk.tuning.config import LOSS, MAX_TRIALS, TuningConfig, objective_for
from ropewalk.tuning.containers import primary_containers
from ropewalk.tuning.parse import parse_experiment
from ropewalk.tuning.problems import Problem, refuse
from ropewalk.tuning.search import EPOCHS, read_search
from ropewalk.tuning.spec import Algorithm, Experiment, Limits, Objective, Parameter, TrialTemplate
from ropewalk.tuning.trial_templates import TRIAL_NAME, job_template

Build = Callable[[Sequence[str], Sequence[str]], TrialTemplate]

HERE: Build = partial(job_template, image="")
"""What trials of this machine are: it needs no image."""

_UNNAMED = "tune"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a trial finds the pipeline's data, and leaves its model."""

    train: str
    """Path or URI of the split to learn from, "#" and its digest."""
    validation: str
    """The split that chooses the best epoch, named in the same way."""
    preprocessor: str
    """The preprocessor, named in the same way."""
    models: str
    """Path or URI under which each trial's model is stored by the trial's name."""

    def model(self, trial: str) -> str:
        """Return where the model of a trial is."""
        return f"{self.models}/{trial}"

    def env(self) -> dict[str, str]:
        """Return the places as environment variables, for trials with a command of their own."""
        return {f"ROPEWALK_{name.upper()}": value for name, value in vars(self).items()}


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a person asks for, checked as far as it can be before the data are known."""

    parameters: tuple[Parameter, ...]
    """The search space."""
    max_trials: int
    """Trials in all, from 1."""
    epochs: int
    """Most passes over the training rows; 0: chosen by the table's size."""
    seed: int
    """Seed of suggestions, initial weights, shuffling and dropout."""
    training: dict[str, Any]
    """Fields of TrainingConfig that are the same in every trial."""
    config: TuningConfig
    """The rest."""


def read_request(
    search: Mapping[str, Any],
    *,
    max_trials: int,
    epochs: int,
    seed: int,
    training: Mapping[str, Any],
    config: Mapping[str, Any],
) -> Search:
    """Return the checked request.

    Args:
        search: As for `read_search`.
        max_trials: Trials in all; 0: 12.
        epochs: As for training.
        seed: As for training.
        training: Fields of TrainingConfig.
        config: Fields of TuningConfig.

    Raises:
        ConfigError: Names everything that is wrong with one of them; nothing was started.
    """
    settings = parse_config(TuningConfig, config, section="tuning")
    parse_config(TrainingConfig, training, section="training")
    if epochs < 0 or seed < 0 or max_trials < 0:
        raise ConfigError(f"epochs={epochs}, seed={seed}, max_trials={max_trials}: need 0 or more.")
    if settings.experiment:
        if search:
            raise ConfigError("search and tuning.experiment are both given: the experiment has a space of its own.")
        parse_experiment(settings.experiment, what="tuning.experiment")
    request = Search(
        parameters=() if settings.experiment else read_search(search, training),
        max_trials=max_trials or MAX_TRIALS,
        epochs=epochs,
        seed=seed,
        training=_whole_numbers(training),
        config=settings,
    )
    if not settings.experiment:
        nowhere = Places(train="-", validation="-", preprocessor="-", models="-")
        objective = Objective(metric=settings.objective or LOSS, type="minimize", goal=settings.goal)
        # What will be chosen is not known yet: it may be as much as there are trials.
        parallel = settings.parallel or request.max_trials
        _refuse(request, _experiment(request, nowhere, objective, parallel=parallel, program=("-",)))
    return request


def plan_experiment(
    request: Search,
    places: Places,
    *,
    task: str,
    parallel: int,
    program: Sequence[str],
    identity: str,
    build: Build = HERE,
    dress: Callable[[TrialTemplate], TrialTemplate] = lambda template: template,
) -> Experiment:
    """Return the experiment, named for `identity` and for what it is.

    Args:
        request: What is asked for.
        places: Where trials find the data and leave their models.
        task: "binary", "multiclass" or "regression".
        parallel: Trials at the same time.
        program: Words that run Python where trials run.
        identity: What the experiment is for, the same in every retry: the URI of the step's output.
        build: Makes a trial's template of a command and the names of the search space.
        dress: Puts onto a template what was set on the step.
    """
    if request.config.experiment:
        own = parse_experiment(request.config.experiment, what="tuning.experiment")
        return _named(replace(own, trial=dress(with_env(own.trial, places.env()))), identity)
    metric, direction = objective_for(request.config, task)
    objective = Objective(
        metric=metric,
        type=direction,
        goal=request.config.goal,
        additional=tuple(name for name in (LOSS, "train_loss") if name != metric),
        strategies={metric: request.config.strategy},
    )
    experiment = _experiment(request, places, objective, parallel=parallel, program=program, build=build)
    _refuse(request, experiment)
    return _named(replace(experiment, trial=dress(experiment.trial)), identity)


def with_env(template: TrialTemplate, env: Mapping[str, str]) -> TrialTemplate:
    """Return a template whose primary containers have these environment variables, too.

    Raises:
        ConfigError: The template says where its containers are in a way that is not known here.
    """
    manifest = json.loads(json.dumps(template.manifest))
    containers = primary_containers(replace(template, manifest=manifest))
    for container in containers:
        # A copy of the manifest was searched, and what was found is part of it.
        spec = container.spec
        assert isinstance(spec, dict)
        entries = [each for each in spec.get("env") or [] if each.get("name") not in env]
        spec["env"] = [*entries, *({"name": name, "value": value} for name, value in env.items())]
    return replace(template, manifest=manifest)


def _experiment(
    request: Search,
    places: Places,
    objective: Objective,
    *,
    parallel: int,
    program: Sequence[str],
    build: Build = HERE,
) -> Experiment:
    names = [parameter.name for parameter in request.parameters]
    config, stopping = request.config, request.config.early_stopping
    return Experiment(
        name=_UNNAMED,
        parameters=request.parameters,
        objective=objective,
        trial=build((*program, *_arguments(request, places, names)), names),
        algorithm=Algorithm(name=config.algorithm, settings=_whole_numbers(config.algorithm_settings)),
        early_stopping=stopping and replace(stopping, settings=_whole_numbers(stopping.settings)),
        limits=Limits(
            parallel=min(parallel, request.max_trials),
            max_trials=request.max_trials,
            max_failed=config.max_failed,
            experiment_seconds=config.experiment_seconds,
            trial_seconds=config.trial_seconds,
            stall_seconds=config.stall_seconds,
        ),
    )


def _arguments(request: Search, places: Places, searched: Sequence[str]) -> list[str]:
    words = ["-m", "ropewalk.training"]
    given = {
        "train": places.train,
        "validation": places.validation,
        "preprocessor": places.preprocessor,
        "model": places.model(f"${{trialParameters.{TRIAL_NAME}}}"),
        "seed": str(request.seed),
    }
    if EPOCHS not in searched:
        given["epochs"] = str(request.epochs)
    if request.training:
        given["settings"] = json.dumps(request.training, sort_keys=True)
    given |= {name: f"${{trialParameters.{name}}}" for name in searched}
    return words + [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]


def _refuse(request: Search, experiment: Experiment) -> None:
    """Refuse what is wrong, in the words of the request."""
    problems = [Problem(_path(problem.path, request.parameters), problem.text) for problem in find_problems(experiment)]
    refuse(problems, what="The search")


def _path(path: str, parameters: Sequence[Parameter]) -> str:
    place = re.match(r"parameters\[(\d+)\]", path)
    if place:
        return f"search.{parameters[int(place[1])].name}{path[place.end() :]}"
    renamed = {"parameters": "search", "algorithm.name": "tuning.algorithm", "limits.max_trials": "max_trials"}
    words = path.replace("algorithm.settings", "algorithm_settings").removeprefix("limits.")
    return renamed.get(path, f"tuning.{words}")


def _named(experiment: Experiment, identity: str) -> Experiment:
    """Return the experiment with a name of its own: Katib wants one that no other namespace has."""
    content = json.dumps([identity, asdict(experiment)], sort_keys=True)
    named = replace(experiment, name=f"{_UNNAMED}-{hashlib.sha256(content.encode()).hexdigest()[:8]}")
    check_experiment(named)
    return named


def _whole_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with whole numbers as such: KFP delivers every number inside JSON as a float."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in values.items()
    }
