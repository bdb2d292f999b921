"""The pictures of an experiment."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from ropewalk.report.figure import INK, MUTED, PRIMARY, QUIET, SECONDARY, Drawing, styled
from ropewalk.report.format import number
from ropewalk.tuning.engine import Trial
from ropewalk.tuning.spec import Objective, Parameter, Value

_BEST_SHARE = 0.1
_MOST_TICKS = 6


@styled
def parallel_coordinates(parameters: Sequence[Parameter], objective: Objective, trials: Sequence[Trial]) -> str:
    """Draw one line per trial across an axis per parameter and one of the objective; the best tenth stands out.

    Args:
        parameters: The search space.
        objective: Its axis is the last one, better upwards.
        trials: Trials with a finite value.
    """
    names = [*(parameter.name for parameter in parameters), objective.metric]
    across = max(340, 130 * len(names))
    # As high as the two pictures that stand beside it.
    drawing = Drawing(width=across, height=max(430, round(0.82 * across)))
    axes = drawing.axes
    order = best_last(objective, trials)
    best = max(1, round(_BEST_SHARE * len(order)))
    values = [trial.value(objective) or 0.0 for trial in order]
    columns = [[_place(each, trial.values[each.name]) for trial in order] for each in parameters]
    columns.append([_share(_sign(objective) * each, [_sign(objective) * value for value in values]) for each in values])
    for rank, heights in enumerate(zip(*columns, strict=True)):
        left = len(order) - rank
        colour, width, alpha = (
            (SECONDARY, 2.2, 1.0) if left == 1 else (PRIMARY, 1.4, 0.8) if left <= best else (QUIET, 0.8, 0.5)
        )
        axes.plot(range(len(names)), heights, color=colour, linewidth=width, alpha=alpha)
    for place, parameter in enumerate(parameters):
        _draw_axis(drawing, place, _ticks(parameter))
    ends = (max(values), min(values)) if objective.type == "minimize" else (min(values), max(values))
    _draw_axis(drawing, len(parameters), list(zip((0.0, 1.0), map(number, ends), strict=True)))
    axes.set_xticks(range(len(names)), [_clip(name) for name in names])
    axes.set(xlim=(-0.25, len(names) - 0.35), ylim=(-0.07, 1.07), yticks=[])
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    return drawing.svg(f"Parameters and {objective.metric} of {len(order)} trials as lines across parallel axes")


@styled
def best_so_far(objective: Objective, trials: Sequence[Trial]) -> str:
    """Draw the value of every trial as a point over its number, and the best so far as a line."""
    drawing = Drawing()
    drawing.grid()
    axes = drawing.axes
    numbers = [trial.number + 1 for trial in trials]
    values = np.array([trial.value(objective) for trial in trials], dtype=np.float64)
    best = np.minimum.accumulate(values) if objective.type == "minimize" else np.maximum.accumulate(values)
    axes.scatter(numbers, values, s=14, color=QUIET, alpha=0.8, linewidths=0)
    axes.step(numbers, best, where="post", color=PRIMARY)
    axes.set(xlabel="Trial", ylabel=_clip(objective.metric, 30))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return drawing.svg(f"{objective.metric} of each trial and the best so far")


def best_last(objective: Objective, trials: Sequence[Trial]) -> list[Trial]:
    """Return trials, all with a finite value, in the order of drawing: what comes last lies on top."""
    # Of equals the first counts as the best.
    return sorted(trials, key=lambda trial: (_sign(objective) * (trial.value(objective) or 0.0), -trial.number))


def _sign(objective: Objective) -> float:
    return -1.0 if objective.type == "minimize" else 1.0


def _place(parameter: Parameter, value: Value) -> float:
    """Return how high on its axis, from 0 to 1, a value stands."""
    if parameter.values:
        return (parameter.values.index(value) + 0.5) / len(parameter.values)
    assert parameter.min is not None and parameter.max is not None, "the experiment has been checked"
    ends = [parameter.min, parameter.max]
    if _is_log(parameter):
        return _share(math.log(float(value)), [math.log(end) for end in ends])
    return _share(float(value), ends)


def _share(value: float, values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    return (value - low) / (high - low) if high > low else 0.5


def _is_log(parameter: Parameter) -> bool:
    return parameter.distribution in ("logUniform", "logNormal")


def _ticks(parameter: Parameter) -> list[tuple[float, str]]:
    if parameter.values:
        shown = (
            parameter.values if len(parameter.values) <= _MOST_TICKS else (parameter.values[0], parameter.values[-1])
        )
        return [(_place(parameter, value), _clip(str(value), 10)) for value in shown]
    ends = [value for value in (parameter.min, parameter.max) if value is not None]
    return [(_place(parameter, value), f"{value:g}") for value in ends]


def _draw_axis(drawing: Drawing, place: int, ticks: Sequence[tuple[float, str]]) -> None:
    drawing.axes.vlines(place, 0, 1, color=MUTED, linewidth=0.8)
    for height, text in ticks:
        # The ends stand beyond the axis, where no line runs.
        offset, across, up = {0.0: ((0, -3), "center", "top"), 1.0: ((0, 3), "center", "bottom")}.get(
            height, ((4, 0), "left", "center")
        )
        drawing.axes.annotate(
            text, (place, height), offset, textcoords="offset points", ha=across, va=up, color=MUTED, fontsize=7.5
        )


def _clip(name: str, length: int = 18) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
