"""The page of an experiment: what is best first, then how the search went, then every trial."""

from ropewalk.report import plots as report_plots
from ropewalk.report.blocks import Block, Cell, CellValue, Fact, Facts, Plot, Plots, Pre, Section, Table, Text, Tone
from ropewalk.report.format import count, duration, number, percent
from ropewalk.report.page import render_page
from ropewalk.tuning.engine import Snapshot, State, Trial
from ropewalk.tuning.importance import LEAST_TRIALS, parameter_importance
from ropewalk.tuning.plots import best_so_far, parallel_coordinates
from ropewalk.tuning.results import Result
from ropewalk.tuning.space import covering
from ropewalk.tuning.spec import Experiment, Value

_MOST_ROWS = 200
_TONES: dict[State, Tone] = {"succeeded": "good", "failed": "bad", "early_stopped": "warn"}
_STRATEGIES = {"latest": "the trial's last report", "min": "its least report", "max": "its greatest report"}
_ENDS = {
    "goal_reached": "The goal is reached",
    "max_trials_reached": "All trials are done",
    "space_exhausted": "Every combination has been tried",
    "out_of_time": "The time is up",
}


def tuning_page(experiment: Experiment, snapshot: Snapshot, result: Result) -> str:
    """Return the page as HTML."""
    objective = experiment.objective
    direction = "lower is better" if objective.type == "minimize" else "higher is better"
    return render_page(
        eyebrow="Tuning",
        title=experiment.name,
        subtitle=" · ".join([experiment.algorithm.name, objective.metric, direction]),
        status=(
            "good",
            _ENDS[result.end],
            f"{result.best_trial} is best: {objective.metric} {number(result.best_value)}.",
        ),
        headline=[
            Fact(objective.metric, number(result.best_value), detail=_STRATEGIES[objective.strategy(objective.metric)]),
            Fact("Succeeded", count(result.trials.get("succeeded", 0)), detail=f"of {len(snapshot.trials)} trials"),
            Fact("Time of all trials", duration(result.seconds)),
        ],
        sections=[
            _best(result),
            _search(experiment, snapshot),
            _trials(experiment, snapshot, result),
            *_failures(snapshot),
        ],
    )


def _best(result: Result) -> Section:
    facts = [Fact(name, _shown(value), title=repr(value)) for name, value in result.best_parameters.items()]
    return Section("Best parameters", [Facts(facts)], note=f"Those of {result.best_trial}.")


def _search(experiment: Experiment, snapshot: Snapshot) -> Section:
    objective = experiment.objective
    done = [trial for trial in snapshot.trials if trial.state == "succeeded" and trial.value(objective) is not None]
    lines = Plot(
        parallel_coordinates(covering(experiment.parameters, [trial.values for trial in done]), objective, done),
        "One line per trial; the best tenth is blue, the best one stands out. The last axis is better upwards.",
        title="Parameters and outcome",
        wide=True,
    )
    drawn = [
        lines,
        Plot(best_so_far(objective, done), "Points are trials, the line is the best so far.", title="Progress"),
    ]
    importance = parameter_importance(experiment, snapshot.trials)
    blocks: list[Block] = []
    if importance:
        svg = report_plots.bars(
            list(importance), list(importance.values()), label="Importance of each parameter", formatter=percent
        )
        drawn.append(Plot(svg, "Share of the variation that each explains (functional ANOVA).", title="Importance"))
    else:
        blocks.append(Text(f"Importance needs {LEAST_TRIALS} trials with different values."))
    return Section("The search", [Plots(drawn), *blocks])


def _trials(experiment: Experiment, snapshot: Snapshot, result: Result) -> Section:
    objective = experiment.objective
    sign = 1 if objective.type == "minimize" else -1

    def key(trial: Trial) -> tuple[bool, float]:
        value = trial.value(objective)
        return (trial.state != "succeeded" or value is None, sign * value if value is not None else trial.number)

    order = sorted(snapshot.trials, key=key)
    names = [parameter.name for parameter in experiment.parameters]
    headers = ["Trial", "State", objective.metric, *names, "Time", *objective.additional]
    rows = [_row(experiment, trial, best=trial.name == result.best_trial) for trial in order[:_MOST_ROWS]]
    numbers = [place for place, each in enumerate(experiment.parameters, 3) if each.type != "categorical"]
    numeric = [2, *numbers, *range(3 + len(names), len(headers))]
    note = "The best first." if len(order) <= _MOST_ROWS else f"The best {_MOST_ROWS}; the others are in trials.csv."
    return Section("Trials", [Table(headers, rows, caption="Trials", numeric=numeric)], note=note)


def _row(experiment: Experiment, trial: Trial, *, best: bool) -> list[CellValue]:
    row: list[CellValue] = [
        # All names begin with the experiment's, which the page has as its title.
        Cell(trial.name.removeprefix(f"{experiment.name}-"), strong=best, title=trial.name),
        Cell(trial.state.replace("_", " "), tone=_TONES.get(trial.state, "neutral"), title=trial.message),
    ]
    first, *others = (_metric(experiment, trial, name) for name in experiment.objective.metrics)
    values = [_shown(trial.values[parameter.name]) for parameter in experiment.parameters]
    return [*row, first, *values, None if trial.seconds is None else duration(trial.seconds), *others]


def _metric(experiment: Experiment, trial: Trial, name: str) -> CellValue:
    found = trial.observations.get(name)
    value = found.value(experiment.objective.strategy(name)) if found is not None else None
    return None if value is None else Cell(number(value), title=repr(value))


def _failures(snapshot: Snapshot) -> list[Section]:
    failed = [trial for trial in snapshot.trials if trial.state == "failed"][:5]
    blocks = [Pre("\n".join(trial.log_tail) or "(empty)", caption=f"{trial.name}: {trial.message}") for trial in failed]
    return [Section("Failed trials", blocks, note="The last lines of their logs.")] if blocks else []


def _shown(value: Value) -> str:
    return number(value) if isinstance(value, float) else str(value)
