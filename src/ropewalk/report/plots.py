"""The plots of the pages. Each function returns an inline SVG; `label` is what a screen reader says."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ropewalk.report.figure import INK, MUTED, PRIMARY, QUIET, SECONDARY, SERIES, Drawing, styled
from ropewalk.report.format import count, number, percent

Numbers = Sequence[float] | NDArray[np.float64]

Place = Literal["lower right", "lower left", "center left", "upper right", "best"]

_MOST_NAMED_LINES = len(SERIES)
_MOST_NARROW_CLASSES = 4
_MOST_WRITTEN_CLASSES = 16
_DENSITY_CELLS = 44


@dataclass(frozen=True, kw_only=True)
class Line:
    """One named line of a plot."""

    name: str
    x: Numbers
    y: Numbers


@styled
def roc(lines: Sequence[Line], *, label: str) -> str:
    """Draw ROC curves: true positive rate over false positive rate; the first line stands out."""
    drawing = Drawing()
    drawing.unit_square()
    axes = drawing.axes
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    _draw_lines(drawing, lines)
    axes.set(xlabel="False positive rate", ylabel="True positive rate")
    _legend(drawing, lines, "lower right")
    return drawing.svg(label)


@styled
def precision_recall(lines: Sequence[Line], *, base_rate: float, label: str) -> str:
    """Draw precision over recall; the dashed line is the share of positives, which guessing reaches."""
    drawing = Drawing()
    drawing.unit_square()
    axes = drawing.axes
    axes.axhline(base_rate, color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    _draw_lines(drawing, lines)
    axes.set(xlabel="Recall", ylabel="Precision")
    _legend(drawing, lines, _free_corner(lines[0], base_rate))
    return drawing.svg(label)


@styled
def calibration(predicted: Numbers, observed: Numbers, *, low: Numbers, high: Numbers, label: str) -> str:
    """Draw the observed share of positives over the predicted probability, with `low` to `high` as bars."""
    drawing = Drawing()
    drawing.unit_square()
    axes = drawing.axes
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    axes.vlines(predicted, low, high, color=PRIMARY, linewidth=1.2, alpha=0.55)
    axes.plot(predicted, observed, color=PRIMARY, marker="o", markersize=4, clip_on=False)
    axes.set(xlabel="Predicted probability", ylabel="Observed share")
    return drawing.svg(label)


@styled
def confusion(matrix: NDArray[np.int64], classes: Sequence[str], *, label: str) -> str:
    """Draw a confusion matrix: rows are true classes, columns predictions, shades are shares of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    many = len(classes) > _MOST_WRITTEN_CLASSES
    drawing = Drawing(width=620, height=620) if is_wide(classes) else Drawing()
    axes = drawing.axes
    for row, column in np.ndindex(matrix.shape):
        share = float(shares[row, column])
        colour = PRIMARY if row == column else SECONDARY if share else QUIET
        axes.bar(column, 0.94, width=0.94, bottom=row - 0.47, color=colour, alpha=0.06 + 0.4 * share)
        if not many:
            _cell_text(drawing, (column, row), int(matrix[row, column]), share, classes=len(classes))
    places = range(len(classes))
    names = [_clip(name, 20 if is_wide(classes) else 12) for name in classes]
    turn = 90 if len(classes) > 6 else 35 if len(classes) > 4 or max(map(len, names)) > 9 else 0
    axes.set_xticks(places, names, rotation=turn, ha="right" if turn == 35 else "center")
    axes.set_yticks(places, names)
    axes.set(xlabel="Predicted", ylabel="True", ylim=(len(classes) - 0.5, -0.5), xlim=(-0.5, len(classes) - 0.5))
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    return drawing.svg(label)


def is_wide(classes: Sequence[str]) -> bool:
    """Return whether a confusion matrix of these classes needs twice the room."""
    return len(classes) > _MOST_NARROW_CLASSES


@styled
def score_distribution(edges: Numbers, shares: Sequence[Numbers], names: Sequence[str], *, label: str) -> str:
    """Draw, per class, which share of its rows got a score in each bin between `edges`."""
    drawing = Drawing()
    axes = drawing.axes
    drawing.grid()
    colours = (QUIET, PRIMARY) if len(names) == 2 else SERIES
    for name, share, colour in zip(names, shares, colours, strict=False):
        axes.stairs(share, edges, fill=True, color=colour, alpha=0.22)
        axes.stairs(share, edges, color=colour, linewidth=1.5, label=_clip(name, 22))
    axes.axvline(0.5, ymax=0.86, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    axes.set(xlim=(0, 1), xlabel="Predicted probability", ylabel="Share of the class")
    axes.set_ylim(0, 1.18 * max(float(np.max(share)) for share in shares))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.legend(loc="upper center", ncols=2, handlelength=0.9)
    return drawing.svg(label)


@styled
def predicted_vs_actual(actual: Numbers, predicted: Numbers, *, unit: str, label: str) -> str:
    """Draw predictions over true values: points when they are few, shades of density when they are many."""
    actual, predicted = np.asarray(actual, float), np.asarray(predicted, float)
    drawing = Drawing()
    axes = drawing.axes
    low, high = _central_range(np.concatenate([actual, predicted]))
    axes.plot([low, high], [low, high], color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    if len(actual) <= 1500:
        alpha = 0.75 if len(actual) < 300 else 0.4
        axes.scatter(actual, predicted, s=9, color=PRIMARY, alpha=alpha, linewidths=0)
    else:
        _draw_density(drawing, actual, predicted, (low, high))
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set(xlabel=f"True {_clip(unit, 28)}", ylabel="Predicted")
    axes.locator_params(nbins=5)
    _plain_numbers(drawing)
    drawing.grid()
    return drawing.svg(label)


@styled
def residuals(errors: Numbers, *, unit: str, label: str) -> str:
    """Draw a histogram of prediction errors, predicted minus true, without the farthest 1 %."""
    errors = np.asarray(errors, float)
    drawing = Drawing()
    axes = drawing.axes
    drawing.grid()
    reach = float(np.quantile(np.abs(errors), 0.99)) or 1.0
    bins = int(np.clip(2 * np.sqrt(len(errors)), 11, 41)) | 1
    heights, edges = np.histogram(errors, bins=bins, range=(-reach, reach))
    axes.stairs(heights / len(errors), edges, fill=True, color=PRIMARY, alpha=0.3)
    axes.stairs(heights / len(errors), edges, color=PRIMARY, linewidth=1.3)
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    axes.set(
        xlabel=f"Error in {_clip(unit, 24)}, predicted minus true",
        ylabel="Share of rows",
        xlim=(-reach, reach),
    )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(lambda value, _: _tick(value))
    return drawing.svg(label)


@styled
def thresholds(lines: Sequence[Line], *, label: str, chosen: float = 0.5) -> str:
    """Draw rates over the threshold from which a row counts as positive; the one `chosen` is marked."""
    drawing = Drawing()
    drawing.unit_square()
    drawing.axes.axvline(chosen, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    _draw_lines(drawing, lines)
    drawing.axes.set(xlabel="Threshold", ylabel="Rate")
    _legend(drawing, lines, "best")
    return drawing.svg(label)


@styled
def cumulative_errors(lines: Sequence[Line], *, unit: str, label: str) -> str:
    """Draw which share of rows is predicted within an error; the first line stands out."""
    drawing = Drawing()
    drawing.grid()
    _draw_lines(drawing, lines)
    axes = drawing.axes
    axes.set(xlabel=f"Error of {_clip(unit, 28)} up to", ylabel="Share of rows", xlim=(0, None), ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(lambda value, _: _tick(value))
    _legend(drawing, lines, "lower right")
    return drawing.svg(label)


@styled
def training_curve(lines: Sequence[Line], *, best_epoch: int, y_label: str, label: str) -> str:
    """Draw values over epochs, with the epoch marked whose weights were kept."""
    drawing = Drawing()
    axes = drawing.axes
    drawing.grid()
    axes.axvline(best_epoch, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    _draw_lines(drawing, lines, reverse=False)
    for line, colour in zip(lines, SERIES, strict=False):
        at_best = [value for epoch, value in zip(line.x, line.y, strict=True) if epoch == best_epoch]
        axes.plot([best_epoch] * len(at_best), at_best, "o", color=colour, markersize=4.5)
    axes.set(xlabel="Epoch", ylabel=y_label)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.yaxis.set_major_formatter(lambda value, _: _tick(value))
    if len(lines) > 1:
        axes.legend(loc="best")
    return drawing.svg(label)


@styled
def bars(
    labels: Sequence[str],
    values: Numbers,
    *,
    label: str,
    x_label: str = "",
    formatter: Callable[[float], str] = number,
) -> str:
    """Draw horizontal bars from the top down, each with its value written at its end."""
    drawing = Drawing(height=64 + 26 * len(labels))
    axes = drawing.axes
    places = range(len(labels))
    axes.barh(places, values, height=0.62, color=PRIMARY, alpha=0.8)
    most = max((abs(float(value)) for value in values), default=1.0) or 1.0
    for place, value in zip(places, values, strict=True):
        end = (max(float(value), 0), place)
        axes.annotate(formatter(float(value)), end, (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(places, [_clip(name, 22) for name in labels])
    axes.set(xlim=(min(0.0, *map(float, values)), 1.25 * most), ylim=(len(labels) - 0.4, -0.6), xlabel=x_label)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    return drawing.svg(label)


@styled
def ranges(
    labels: Sequence[str], values: Numbers, *, low: Numbers, high: Numbers, label: str, x_label: str = ""
) -> str:
    """Draw a point per label, from the top down, with `low` to `high` as a bar; the line marks 0."""
    drawing = Drawing(height=76 + 24 * len(labels))
    axes = drawing.axes
    places = range(len(labels))
    axes.axvline(0, color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    axes.hlines(places, low, high, color=PRIMARY, linewidth=1.6, alpha=0.55)
    axes.plot(values, places, "o", color=PRIMARY, markersize=4.5)
    axes.set_yticks(places, [_clip(name, 22) for name in labels])
    axes.set(ylim=(len(labels) - 0.4, -0.6), xlabel=x_label)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(lambda value, _: _tick(value))
    axes.spines["left"].set_visible(False)
    drawing.grid()
    return drawing.svg(label)


def _draw_lines(drawing: Drawing, lines: Sequence[Line], *, reverse: bool = True) -> None:
    if len(lines) > _MOST_NAMED_LINES:
        for line in lines:
            drawing.axes.plot(line.x, line.y, color=PRIMARY, linewidth=1, alpha=0.45)
        return
    order = list(zip(lines, SERIES, strict=False))
    for line, colour in reversed(order) if reverse else order:
        drawing.axes.plot(line.x, line.y, color=colour, label=line.name)


def _legend(drawing: Drawing, lines: Sequence[Line], place: Place) -> None:
    if not 1 < len(lines) <= _MOST_NAMED_LINES:
        return
    handles, names = drawing.axes.get_legend_handles_labels()
    drawing.axes.legend(handles[::-1], [_clip(name, 30) for name in names[::-1]], loc=place)


def _free_corner(line: Line, base_rate: float) -> Place:
    """Return where neither a curve of precision over recall nor the line of guessing runs."""
    if np.mean(line.y) < 0.6:
        return "upper right"
    return "lower left" if base_rate > 0.25 else "center left"


def _cell_text(drawing: Drawing, place: tuple[int, int], rows: int, share: float, *, classes: int) -> None:
    column, row = place
    if classes <= _MOST_NARROW_CLASSES:
        drawing.axes.text(column, row - 0.03, count(rows), ha="center", va="bottom", fontsize=12, weight="bold")
        drawing.axes.text(column, row + 0.06, percent(share), ha="center", va="top")
    elif rows:
        drawing.axes.text(column, row, count(rows), ha="center", va="center")


def _draw_density(drawing: Drawing, x: NDArray[np.float64], y: NDArray[np.float64], span: tuple[float, float]) -> None:
    heights, edges, _ = np.histogram2d(x, y, bins=_DENSITY_CELLS, range=(span, span))
    levels = np.log1p(heights) / math.log1p(heights.max())
    step = edges[1] - edges[0]
    places = np.argwhere(heights > 0)
    colours = [to_rgba(PRIMARY, 0.1 + 0.9 * round(8 * levels[i, j]) / 8) for i, j in places]
    corners = [
        [(edges[i] + dx * step, edges[j] + dy * step) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))] for i, j in places
    ]
    drawing.axes.add_collection(PolyCollection(corners, facecolors=colours, edgecolors="none"))


def _central_range(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.002, 0.998]) if len(values) > 1500 else (values.min(), values.max())
    margin = 0.04 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _plain_numbers(drawing: Drawing) -> None:
    for axis in (drawing.axes.xaxis, drawing.axes.yaxis):
        axis.set_major_formatter(lambda value, _: _tick(value))


def _tick(value: float) -> str:
    for unit, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * unit or (unit > 1e3 and abs(value) >= unit):
            return f"{value / unit:g}{sign}".replace("-", "\N{MINUS SIGN}")
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def _clip(name: str, length: int) -> str:
    """Shorten in the middle: names in a family differ at their ends."""
    if len(name) <= length:
        return name
    tail = length // 3
    return f"{name[: length - tail - 1]}…{name[-tail:]}"
