"""What an experiment is, whichever engine runs it. Plain values; `check` says whether they make sense."""

from dataclasses import dataclass, field
from typing import Any, Literal

ParameterType = Literal["double", "int", "discrete", "categorical"]
Distribution = Literal["uniform", "logUniform", "normal", "logNormal"]
Strategy = Literal["latest", "min", "max"]
Value = float | int | str
"""A parameter's value: float for double, int for int, a number for discrete, text for categorical."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One dimension of the search space."""

    name: str
    """What trial parameters refer to."""
    type: ParameterType
    """double and int have a range, discrete (numbers) and categorical (texts) a list of values."""
    min: float | None = None
    """Smallest value of a double or int."""
    max: float | None = None
    """Greatest value of a double or int, above `min`."""
    step: float | None = None
    """Distance of allowed values from `min` up, above 0; absent: 1 for an int, any value for a double."""
    distribution: Distribution = "uniform"
    """How values are drawn. normal has its mean in the middle of the range and three deviations to each end;
    logUniform and logNormal are the same of the value's logarithm, so they need `min` above 0."""
    values: tuple[Value, ...] = ()
    """The values of a discrete or categorical."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is optimised."""

    metric: str
    """Name of the metric that trials report."""
    type: Literal["minimize", "maximize"]
    """Which way is better."""
    goal: float | None = None
    """The value that is good enough: reaching it ends the experiment and stops running trials."""
    additional: tuple[str, ...] = ()
    """Further metrics that are recorded."""
    strategies: dict[str, Strategy] = field(default_factory=dict)
    """Which of a metric's reports is the trial's value. Default `latest`: the value of the model that is kept.
    (Katib's own default is the best report of the trial, which belongs to a model that training may have left.)"""

    def strategy(self, metric: str) -> Strategy:
        """Return which report of `metric` counts."""
        return self.strategies.get(metric, "latest")

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, the objective first."""
        return (self.metric, *self.additional)

    def better(self, value: float, than: float) -> bool:
        """Return whether `value` is strictly better."""
        return value < than if self.type == "minimize" else value > than


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """How the next parameters are chosen, by Katib's names."""

    name: str = "random"
    """random, grid, tpe, multivariate-tpe, cmaes, sobol, bayesianoptimization, hyperband or pbt (cluster only)."""
    settings: dict[str, str | int | float | bool] = field(default_factory=dict)
    """Katib's settings of that algorithm."""


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """When a trial is given up."""

    name: str = "medianstop"
    """medianstop: the trial's best is worse than what succeeded trials had at `start_step`."""
    settings: dict[str, str | int | float | bool] = field(default_factory=dict)
    """min_trials_required (3): succeeded trials before any is stopped; start_step (4): reports before it is judged."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many trials, and for how long."""

    parallel: int = 1
    """Trials that run at the same time, from 1."""
    max_trials: int = 20
    """Trials in all, from 1."""
    max_failed: int | None = None
    """Failed trials that end the experiment as failed: 0 and 1 both mean the first one; absent: no limit."""
    experiment_seconds: float | None = None
    """Longest time of the experiment; what is best by then counts."""
    trial_seconds: float | None = None
    """Longest time of one trial, which fails when it takes longer."""
    stall_seconds: float | None = None
    """Longest time in which a running trial says nothing; it fails then."""


@dataclass(frozen=True, kw_only=True)
class MetricsSource:
    """Where a trial's metrics are read."""

    kind: Literal["StdOut", "File"] = "StdOut"
    """StdOut: what the trial prints, both streams. File: a file that it writes."""
    path: str = ""
    """The file of kind File, absolute."""
    format: Literal["TEXT", "JSON"] = "TEXT"
    """TEXT: `name=value` anywhere in a line. JSON: one object a line, its values as JSON strings."""
    filters: tuple[str, ...] = ()
    """RE2 expressions with two groups, name and value, instead of `name=value`."""


@dataclass(frozen=True, kw_only=True)
class TrialParameter:
    """A placeholder `${trialParameters.NAME}` of the trial's resource."""

    name: str
    """NAME."""
    reference: str
    """A parameter of the search space, or the trial's own ${trialSpec.Name}, Namespace, Kind, APIVersion,
    Labels[key] or Annotations[key]."""
    description: str = ""
    """For people."""


@dataclass(frozen=True, kw_only=True)
class TrialTemplate:
    """The Kubernetes resource that one trial is; the local engine runs the command of its primary container."""

    manifest: dict[str, Any]
    """A Job, TrainJob, PyTorchJob or another kind, with placeholders, without name and namespace."""
    parameters: tuple[TrialParameter, ...]
    """The placeholders."""
    primary_container: str
    """The container whose metrics count."""
    primary_labels: dict[str, str] = field(default_factory=dict)
    """Labels of the pod that has it, where the resource makes several pods."""
    success_condition: str = ""
    """GJSON expression that tells a resource which succeeded; "" for the kind's own."""
    failure_condition: str = ""
    """The same for one that failed."""
    retain: bool = False
    """Whether the resources of finished trials are kept."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A search: a space, an objective, an algorithm, and what one trial does."""

    name: str
    """Lower case letters, digits and dashes, from a letter, at most 40 characters."""
    parameters: tuple[Parameter, ...]
    """The search space."""
    objective: Objective
    """What is optimised."""
    trial: TrialTemplate
    """What one trial does."""
    algorithm: Algorithm = Algorithm()
    """How parameters are chosen."""
    early_stopping: EarlyStopping | None = None
    """When a trial is given up; absent: never."""
    limits: Limits = Limits()
    """How many trials, and for how long."""
    metrics: MetricsSource = MetricsSource()
    """Where metrics are read."""
    namespace: str = ""
    """The Kubernetes namespace; "" where the engine has its own."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels of the experiment, which reach trials and pods."""
    annotations: dict[str, str] = field(default_factory=dict)
    """Annotations of the experiment."""
    resume_policy: Literal["Never", "LongRunning", "FromVolume"] = "Never"
    """Katib's: whether a finished experiment can go on with more trials."""
