"""A Kubernetes Job out of a command, as experiments in our own form give it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ropewalk.cluster.pod_config import PodConfig
from ropewalk.tuning import trial_templates
from ropewalk.tuning.spec import TrialTemplate


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
    """Return a template whose Job runs the command once.

    Args:
        trial: The command.
        parameters: Names of the search space.
    """
    return trial_templates.job_template(trial.command, parameters, image=trial.image, config=PodConfig(env=trial.env))
