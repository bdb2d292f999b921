"""Experiments from JSON and YAML: Ropewalk's own form, or a whole Experiment of Katib's."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ropewalk.errors import ConfigError
from ropewalk.tuning.check import find_problems
from ropewalk.tuning.job import CommandTrial, job_template
from ropewalk.tuning.lenient import read_dataclass
from ropewalk.tuning.problems import Problem, refuse, without_repeats
from ropewalk.tuning.spec import Experiment


def read_experiment(path: Path) -> Experiment:
    """Return the checked experiment of a YAML or JSON file.

    Raises:
        ConfigError: The file cannot be read, or names everything that is wrong with the experiment.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"The experiment {path} cannot be read: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is no YAML or JSON: {error}") from error
    return parse_experiment(values, what=str(path))


def parse_experiment(values: Any, *, what: str = "The experiment") -> Experiment:
    """Return the checked experiment that `values` describe, Katib's when they have an apiVersion.

    In our own form, `trial` is either a template (fields of `TrialTemplate`) or a command (fields of `CommandTrial`):

        name: wine
        parameters:
          - {name: learning_rate, type: double, min: 0.0001, max: 0.1, distribution: logUniform}
        objective: {metric: loss, type: minimize}
        trial:
          command: [python, -m, my.training, "--rate=${trialParameters.learning_rate}"]

    Raises:
        ConfigError: Names everything that is wrong, each with its place.
    """
    if isinstance(values, Mapping) and "apiVersion" in values:
        from ropewalk.tuning.katib_import import import_experiment

        return import_experiment(values, what=what)
    problems: list[Problem] = []
    experiment = read_dataclass(Experiment, _with_template(values, problems), "", problems)
    refuse(without_repeats(problems, find_problems(experiment)), what=what)
    return experiment


def _with_template(values: Any, problems: list[Problem]) -> Any:
    """Return `values` with a command in `trial` made into a Job."""
    if not isinstance(values, Mapping):
        return values
    trial = values.get("trial")
    if not isinstance(trial, Mapping) or "command" not in trial:
        return values
    command = read_dataclass(CommandTrial, trial, "trial", problems)
    parameters = values.get("parameters")
    listed = parameters if isinstance(parameters, list | tuple) else []
    names = [each["name"] for each in listed if isinstance(each, Mapping) and isinstance(each.get("name"), str)]
    return {**values, "trial": asdict(job_template(command, names))}
