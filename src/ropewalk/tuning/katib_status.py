"""What Katib's resources say of trials and of the experiment, in our words."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ropewalk.tuning.engine import End, State, Trial
from ropewalk.tuning.filters import to_number
from ropewalk.tuning.katib_resources import holding
from ropewalk.tuning.metrics import Observation, objective_value
from ropewalk.tuning.render import typed_value
from ropewalk.tuning.spec import Experiment, Value

_STATES: tuple[tuple[str, State], ...] = (
    ("MetricsUnavailable", "failed"),
    ("EarlyStopped", "early_stopped"),
    ("Killed", "stopped"),
    ("Failed", "failed"),
    ("Succeeded", "succeeded"),
    ("Running", "running"),
)
"""Conditions of a trial, the first that holds counts: one that is early stopped may have others, too."""
_ENDS: dict[str, End] = {
    "ExperimentGoalReached": "goal_reached",
    "ExperimentMaxTrialsReached": "max_trials_reached",
    "ExperimentSuggestionEndReached": "space_exhausted",
}


def read_trials(
    experiment: Experiment, resources: Sequence[Mapping[str, Any]], suggested: Sequence[Mapping[str, Any]]
) -> list[Trial]:
    """Return the trials that are there, numbered in the order in which their parameters were suggested.

    Args:
        experiment: Theirs.
        resources: The Trials.
        suggested: The Suggestion's list of names and parameters, in its order.
    """
    places = {each["name"]: place for place, each in enumerate(suggested)}
    rest = sorted(
        (resource["metadata"].get("creationTimestamp", ""), resource["metadata"]["name"])
        for resource in resources
        if resource["metadata"]["name"] not in places
    )
    places |= {name: len(suggested) + place for place, (_, name) in enumerate(rest)}
    return [
        _read_trial(experiment, resource, places[resource["metadata"]["name"]])
        for resource in sorted(resources, key=lambda each: places[each["metadata"]["name"]])
    ]


def read_values(experiment: Experiment, assignments: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    """Return parameters in their own types: Katib knows texts only."""
    texts = {each["name"]: each["value"] for each in assignments}
    return {each.name: typed_value(each, texts[each.name]) for each in experiment.parameters if each.name in texts}


def read_end(resource: Mapping[str, Any], experiment: Experiment, trials: Sequence[Trial]) -> End | None:
    """Return why Katib says that the experiment is over, None while it runs or when it failed for want of suggestions.

    Katib counts trials without metrics among the failed ones, as we do; its limits 0 and 1 both mean the first.
    """
    found = holding(resource)
    if "Succeeded" in found:
        return _ENDS.get(found["Succeeded"].get("reason", ""), "max_trials_reached")
    failed = sum(trial.state == "failed" for trial in trials)
    limit = experiment.limits.max_failed
    if "Failed" in found and limit is not None and failed and failed >= limit:
        return "max_failed_reached"
    return None


def seconds_since_1970(text: str | None) -> float | None:
    """Return the time that an RFC 3339 text tells."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None


def _read_trial(experiment: Experiment, resource: Mapping[str, Any], number: int) -> Trial:
    status, found = resource.get("status", {}), holding(resource)
    name, state = next(((name, state) for name, state in _STATES if name in found), ("", "pending"))
    observations = _observations(experiment, status.get("observation") or {})
    started, ended = seconds_since_1970(status.get("startTime")), seconds_since_1970(status.get("completionTime"))
    over = state not in ("pending", "running")
    return Trial(
        number=number,
        name=resource["metadata"]["name"],
        values=read_values(experiment, resource["spec"].get("parameterAssignments") or []),
        state=state,
        observations=observations,
        seconds=max(0.0, ended - started) if over and ended is not None and started is not None else None,
        started=started,
        message=_message(experiment, name, found.get(name, {}), observations),
    )


def _observations(experiment: Experiment, observation: Mapping[str, Any]) -> dict[str, Observation]:
    """Return the reports that Katib kept; it does not tell how many there were, so that counts are 0 or 1."""
    found = {each["name"]: each for each in observation.get("metrics") or []}
    read = {}
    for name in experiment.objective.metrics:
        texts = found.get(name, {})
        latest, least, most = (_finite(texts.get(key)) for key in ("latest", "min", "max"))
        read[name] = Observation(latest=latest, min=least, max=most, reports=int(bool(texts)))
    return read


def _finite(text: str | None) -> float | None:
    number = to_number(text)
    return number if math.isfinite(number) else None


def _message(
    experiment: Experiment,
    name: str,
    condition: Mapping[str, Any],
    observations: Mapping[str, Observation],
) -> str:
    objective, limits = experiment.objective, experiment.limits
    if name == "MetricsUnavailable":
        metric = objective.metric
        return f"it ended well but never reported {metric}; print lines such as {metric}=0.5"
    if name == "Succeeded" and objective_value(objective, observations) is None:
        strategy = objective.strategy(objective.metric)
        return f"the {strategy} {objective.metric} is no finite number, so it cannot be the best"
    if name == "Failed" and "DeadlineExceeded" in f"{condition}" and limits.trial_seconds is not None:
        return f"it took longer than trial_seconds={limits.trial_seconds:g}"
    if name == "EarlyStopped":
        return "it was worse than others had been by then"
    if name in ("Failed", "Killed"):
        return str(condition.get("message") or condition.get("reason") or "Katib gives no reason")
    return ""
