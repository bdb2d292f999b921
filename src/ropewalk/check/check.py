"""Check a pipeline's settings before any work starts, and hand each step its own part."""

from collections.abc import Mapping
from typing import Any

from ropewalk.config import parse_config
from ropewalk.data.config import DataConfig
from ropewalk.data.git import refuse_credentials
from ropewalk.errors import ConfigError, nearest
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.preprocess.config import PreprocessConfig
from ropewalk.registry.names import check_model_name
from ropewalk.tracking import tracking_uri
from ropewalk.training.config import TrainingConfig
from ropewalk.tuning.config import TuningConfig
from ropewalk.tuning.training_trials import read_request
from ropewalk.validation.config import ValidationConfig

SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "validation": ValidationConfig,
    "preprocess": PreprocessConfig,
    "training": TrainingConfig,
    "tuning": TuningConfig,
    "evaluation": EvaluationConfig,
}
"""The sections of a pipeline's `config` and the settings that each takes."""
TASKS = ("auto", "binary", "multiclass", "regression")


def check(
    config: Mapping[str, Any],
    *,
    data: str = "",
    task: str = "auto",
    epochs: int = 0,
    model_name: str = "model",
    mlflow_tracking_uri: str = "",
    push_to: str = "",
    search: Mapping[str, Any] | None = None,
    max_trials: int = 0,
) -> dict[str, dict[str, Any]]:
    """Return the settings of each section in SECTIONS, all of them checked.

    Args:
        config: Section name to settings, such as {"training": {"dropout": 0.3}}.
        data: Where the data are kept; empty: not known yet.
        task: "auto", "binary", "multiclass" or "regression".
        epochs: Most passes over the training rows; 0: chosen by the table's size.
        model_name: Name in the model registry.
        mlflow_tracking_uri: Where to record the model; empty: $MLFLOW_TRACKING_URI, else the embedded store.
        push_to: Git and DVC repository that takes what is made; empty: none.
        search: Search space of tuning; empty: the architecture's own.
        max_trials: Trials of tuning; 0: nothing is searched.

    Raises:
        ConfigError: Names every setting that is unknown or has a wrong value.
        SourceError: The URL of the data, or of the repository to push to, holds credentials.
        TrackingError: There is no place to record the model in.
    """
    sections, problems = _sections(config)
    problems += _weight_problems(sections.get("training", {}), sections.get("preprocess", {}))
    if task not in TASKS:
        problems.append(f"task={task!r}: need one of {', '.join(TASKS)}.{nearest(task, TASKS)}")
    if epochs < 0:
        problems.append(f"epochs={epochs}: need 1 or more, or 0 to have it chosen.")
    if (max_trials or search or "tuning" in sections) and not problems:
        problems += _search_problems(search or {}, max_trials=max_trials, epochs=epochs, sections=sections)
    if "'" in push_to:
        # kfp.local takes a condition on such a text for false and would skip the pushes without a word.
        problems.append(f"push_to={push_to!r} holds a quotation mark: give the repository another name or place.")
    if problems:
        raise ConfigError("The configuration is wrong:\n  - " + "\n  - ".join(problems))
    refuse_credentials(data)
    refuse_credentials(push_to)
    check_model_name(model_name)
    tracking_uri(mlflow_tracking_uri)
    return {name: sections.get(name, {}) for name in SECTIONS}


def _sections(config: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the sections that are there, and what is wrong with any."""
    problems: list[str] = []
    for name in config:
        if name not in SECTIONS:
            problems.append(f"there is no section {name!r}.{nearest(name, SECTIONS)} Known: {', '.join(SECTIONS)}.")
        elif not isinstance(config[name], Mapping):
            problems.append(f'{name}={config[name]!r}: need an object such as {{"{name}": {{...}}}}.')
    sections = {name: dict(config[name]) for name in SECTIONS if isinstance(config.get(name), Mapping)}
    for name, values in sections.items():
        try:
            parse_config(SECTIONS[name], values, section=name)
        except ConfigError as error:
            problems += [line.removeprefix("  - ") for line in str(error).splitlines()[1:]]
    return sections, problems


def _search_problems(
    search: Mapping[str, Any], *, max_trials: int, epochs: int, sections: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    try:
        read_request(
            search,
            max_trials=max_trials,
            epochs=epochs,
            seed=0,
            training=sections.get("training", {}),
            config=sections.get("tuning", {}),
        )
    except ConfigError as error:
        lines = str(error).splitlines()
        return [line.removeprefix("  - ") for line in lines[1:] or lines]
    return []


def _weight_problems(training: Mapping[str, Any], preprocess: Mapping[str, Any]) -> list[str]:
    name = training.get("weight_column")
    if not name or name in preprocess.get("ignore", ()):
        return []
    return [f"training.weight_column={name!r}: name it in preprocess.ignore too, or the model would read it."]
