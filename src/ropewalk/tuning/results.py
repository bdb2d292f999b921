"""What an experiment gave: the best trial, and a table of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.artifacts import disk_errors, write_json
from ropewalk.errors import RunError
from ropewalk.tuning.engine import Snapshot, Trial, best_trial
from ropewalk.tuning.spec import Experiment, Parameter, Value

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_CSV, TABLE_PARQUET, RESULT, PAGE = "trials.csv", "trials.parquet", "result.json", "report.html"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome in a few values."""

    experiment: str
    """Its name."""
    end: str
    """Why it is over."""
    best_trial: str
    """Name of the best trial."""
    best_value: float
    """Its value of the objective."""
    best_parameters: dict[str, Value]
    """Its parameters in their own types."""
    trials: dict[str, int]
    """How many trials there are of each state."""
    seconds: float
    """What all trials took together."""


def result_of(experiment: Experiment, snapshot: Snapshot) -> Result:
    """Return the outcome of an experiment that is over.

    Raises:
        RunError: No trial succeeded with a finite value, or as many failed as must not.
    """
    best = best_trial(experiment.objective, snapshot.trials)
    value = best.value(experiment.objective) if best is not None else None
    counts = count_states(snapshot.trials)
    told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none was started"
    if snapshot.end == "max_failed_reached":
        limit = experiment.limits.max_failed
        raise RunError(f"{experiment.name}: max_failed={limit} is reached ({told}). {_first_failure(snapshot)}")
    if best is None or value is None:
        raise RunError(
            f"{experiment.name}: no trial succeeded with a finite {experiment.objective.metric} ({told}). "
            f"{_first_failure(snapshot)}"
        )
    return Result(
        experiment=experiment.name,
        end=snapshot.end or "",
        best_trial=best.name,
        best_value=value,
        best_parameters=dict(best.values),
        trials=counts,
        seconds=sum(trial.seconds or 0.0 for trial in snapshot.trials),
    )


def count_states(trials: Sequence[Trial]) -> dict[str, int]:
    """Return how many trials there are of each state that occurs."""
    states = [trial.state for trial in trials]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def write_tables(experiment: Experiment, snapshot: Snapshot, folder: Path) -> None:
    """Write the trials to `folder` as CSV and Parquet, each whole or not at all.

    Raises:
        StorageError: The disk refused.
    """
    import pyarrow.csv
    import pyarrow.parquet

    table = trials_table(experiment, snapshot)
    writers: dict[str, Any] = {TABLE_CSV: pyarrow.csv.write_csv, TABLE_PARQUET: pyarrow.parquet.write_table}
    for name, write in writers.items():
        partial = folder / f"{name}.partial"
        with disk_errors(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
            write(table, str(partial))
            partial.replace(folder / name)


def write_result(result: Result, folder: Path) -> None:
    """Write the outcome to `folder` as JSON, whole or not at all."""
    partial = folder / f"{RESULT}.partial"
    with disk_errors(folder / RESULT):
        write_json(partial, vars(result))
        partial.replace(folder / RESULT)


def trials_table(experiment: Experiment, snapshot: Snapshot) -> "pa.Table":
    """Return one row per trial: number, trial, state, best, seconds, started, parameters.*, metrics.*, message, folder.

    `metrics.NAME` is the value under the metric's strategy; `metrics.NAME.latest`, `.min` and `.max` are all three.
    """
    import pyarrow as pa

    trials, objective = snapshot.trials, experiment.objective
    best = best_trial(objective, trials)
    columns: dict[str, Any] = {
        "number": pa.array([trial.number for trial in trials], pa.int64()),
        "trial": pa.array([trial.name for trial in trials], pa.string()),
        "state": pa.array([trial.state for trial in trials], pa.string()),
        "best": pa.array([trial is best for trial in trials], pa.bool_()),
        "seconds": pa.array([trial.seconds for trial in trials], pa.float64()),
        "started": pa.array([_microseconds(trial.started) for trial in trials], pa.timestamp("us", "UTC")),
    }
    for parameter in experiment.parameters:
        values = [trial.values[parameter.name] for trial in trials]
        columns[f"parameters.{parameter.name}"] = pa.array(values, _arrow_type(parameter))
    for metric in objective.metrics:
        found = [trial.observations.get(metric) for trial in trials]
        strategy = objective.strategy(metric)
        columns[f"metrics.{metric}"] = pa.array([each and each.value(strategy) for each in found], pa.float64())
        for name in ("latest", "min", "max"):
            reported = [each and getattr(each, name) for each in found]
            columns[f"metrics.{metric}.{name}"] = pa.array(reported, pa.float64())
    columns["message"] = pa.array([trial.message for trial in trials], pa.string())
    columns["folder"] = pa.array([trial.folder for trial in trials], pa.string())
    return pa.table(columns)


def _arrow_type(parameter: Parameter) -> Any:
    import pyarrow as pa

    whole = all(isinstance(value, int) for value in parameter.values)
    if parameter.type == "categorical":
        return pa.string()
    return pa.int64() if parameter.type == "int" or (parameter.type == "discrete" and whole) else pa.float64()


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1e6)


def _first_failure(snapshot: Snapshot) -> str:
    failed = next((trial for trial in snapshot.trials if trial.state == "failed"), None)
    if failed is None:
        return "Look at what the trials print."
    lines = "\n  ".join(failed.log_tail)
    return f"The first that failed is {failed.name}: {failed.message}. The end of its log:\n  {lines or '(empty)'}"
