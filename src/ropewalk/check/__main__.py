"""Command line of the check step."""

import json
from typing import Any

from ropewalk.check.check import check
from ropewalk.commandline import run_command
from ropewalk.errors import ConfigError


def main(
    config: str = "{}",
    data: str = "",
    task: str = "auto",
    epochs: int = 0,
    model_name: str = "model",
    mlflow_tracking_uri: str = "",
    push_to: str = "",
    search: str = "{}",
    max_trials: int = 0,
) -> dict[str, dict[str, object]]:
    """Check a pipeline's settings, and print each step's part of them.

    Args:
        config: Sections and their settings as JSON, such as '{"training": {"dropout": 0.3}}'.
        data: Where the data are kept; empty: not known yet.
        task: "auto", "binary", "multiclass" or "regression".
        epochs: Most passes over the training rows; 0: chosen by the table's size.
        model_name: Name in the model registry.
        mlflow_tracking_uri: Where to record the model; empty: $MLFLOW_TRACKING_URI, else the embedded store.
        push_to: Git and DVC repository that takes what is made; empty: none.
        search: Search space of tuning as JSON; empty: the architecture's own.
        max_trials: Trials of tuning; 0: nothing is searched.
    """
    sections, space = _object("config", config), _object("search", search)
    return check(
        sections,
        data=data,
        task=task,
        epochs=epochs,
        model_name=model_name,
        mlflow_tracking_uri=mlflow_tracking_uri,
        push_to=push_to,
        search=space,
        max_trials=max_trials,
    )


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--{name} is no JSON: {error}. Found: {text[:80]}") from error
    return values


if __name__ == "__main__":
    run_command(main, name="check")
