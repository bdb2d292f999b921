"""Settings of the tuning step."""

from dataclasses import dataclass, field
from typing import Any, Literal

from ropewalk.errors import ConfigError, nearest
from ropewalk.tuning.spec import EarlyStopping, Strategy

SCORES = {"binary": "validation_roc_auc", "multiclass": "validation_log_loss", "regression": "validation_rmse"}
"""What is optimised by default, per task: the score that chooses the best epoch of a training, too."""
LOSS = "validation_loss"
"""The other metric of a training that can be optimised."""

MAX_TRIALS = 12


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How to search."""

    algorithm: str = "tpe"
    """How parameters are chosen, by Katib's names: random, grid, tpe, multivariate-tpe, cmaes, sobol,
    bayesianoptimization, hyperband or pbt (cluster only)."""
    algorithm_settings: dict[str, str | float | bool] = field(default_factory=dict)
    """Katib's settings of that algorithm, such as {"n_startup_trials": 5}."""
    early_stopping: EarlyStopping | None = None
    """When a trial is given up, such as {"name": "medianstop", "settings": {"start_step": 4}}; absent: never."""
    objective: str = ""
    """The validation metric that is optimised; "" for the task's: validation_roc_auc (binary, highest),
    validation_log_loss (multiclass, lowest) or validation_rmse (regression, lowest); or validation_loss (lowest)."""
    strategy: Strategy = "latest"
    """Which report of a trial counts: "latest", that of the model that is kept, "min" or "max" of all epochs."""
    goal: float | None = None
    """Value of the objective that is good enough: reaching it ends the search; absent: all trials are run."""
    parallel: int = 0
    """Trials at the same time, at most, from 1; 0 has it chosen: here by processors and GPUs, on a cluster 3."""
    max_failed: int | None = None
    """Failed trials that end the search as failed, from 0; absent: no limit."""
    experiment_seconds: float | None = None
    """Longest time of the search, above 0; what is best by then counts."""
    trial_seconds: float | None = None
    """Longest time of one trial, above 0; it fails when it takes longer."""
    stall_seconds: float | None = None
    """Longest time in which a running trial says nothing, above 0; it fails then."""
    keep_models: bool = False
    """Whether the models of all trials are kept, not only the best one."""
    folder: str = ""
    """Folder that outlives the step, for the journal and models of trials on this machine; "": beside the output."""
    experiment: dict[str, Any] = field(default_factory=dict)
    """A whole experiment of one's own instead of all this and the search: Katib's Experiment, or Ropewalk's form. Its
    trials find the data in ROPEWALK_TRAIN, ROPEWALK_VALIDATION and ROPEWALK_PREPROCESSOR and write their model to
    $ROPEWALK_MODELS/$KATIB_TRIAL_NAME."""

    def __post_init__(self) -> None:
        known = (LOSS, *SCORES.values())
        if self.objective and self.objective not in known:
            raise ConfigError(
                f"objective={self.objective!r}: need one of {', '.join(known)}.{nearest(self.objective, known)}"
            )
        if self.parallel < 0:
            raise ConfigError(f"parallel={self.parallel}: need 1 or more, or 0 to have it chosen.")


def objective_for(config: TuningConfig, task: str) -> tuple[str, Literal["minimize", "maximize"]]:
    """Return the metric that is optimised, and which way is better.

    Raises:
        ConfigError: The metric is that of another task.
    """
    metric = config.objective or SCORES[task]
    if metric not in (LOSS, SCORES[task]):
        raise ConfigError(f"objective={metric!r}: a {task} training reports {SCORES[task]} and {LOSS}.")
    return metric, "maximize" if metric == SCORES["binary"] else "minimize"
