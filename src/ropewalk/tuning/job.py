"""A Kubernetes Job out of a command."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from ropewalk.tuning.placeholders import names_in
from ropewalk.tuning.spec import TrialParameter, TrialTemplate

CONTAINER = "trial"


@dataclass(frozen=True, kw_only=True)
class CommandTrial:
    """A trial that is one command in one container."""

    command: tuple[str, ...]
    """Words of the command, with ${trialParameters.NAME} for the parameter NAME, or trial_name for the trial's."""
    image: str = ""
    """The container's image; a local engine needs none."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables; placeholders are replaced in them too."""


def job_template(trial: CommandTrial, parameters: Sequence[str]) -> TrialTemplate:
    """Return a template whose Job runs the command once, in one line of shell that survives Katib's wrapping.

    Args:
        trial: The command.
        parameters: Names of the search space.
    """
    container = {
        "name": CONTAINER,
        "image": trial.image,
        "command": ["sh", "-c"],
        "args": [shlex.join(trial.command)],
        "env": [{"name": name, "value": value} for name, value in trial.env.items()],
    }
    # One attempt: a second one would add its metrics to those of the first.
    spec = {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    used = names_in(container)
    references = {name: name for name in parameters if name in used}
    if "trial_name" in used and "trial_name" not in parameters:
        references["trial_name"] = "${trialSpec.Name}"
    return TrialTemplate(
        manifest={"apiVersion": "batch/v1", "kind": "Job", "spec": spec},
        parameters=tuple(TrialParameter(name=name, reference=reference) for name, reference in references.items()),
        primary_container=CONTAINER,
    )
