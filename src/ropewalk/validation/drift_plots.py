"""Pictures of a column now and in the reference."""

import numpy as np
from numpy.typing import NDArray

from ropewalk.report.figure import PRIMARY, QUIET, Drawing, styled
from ropewalk.validation.drift import Shift
from ropewalk.validation.profile import Profile

_BINS = 24
_MOST_CATEGORIES = 8


@styled
def draw_shift(shift: Shift) -> str:
    """Draw the share of the rows per bin or category: the reference filled, the new table as a line or bar."""
    drawing = Drawing(height=240)
    drawing.grid()
    if shift.now.is_numeric:
        _draw_numbers(drawing, shift)
    else:
        _draw_categories(drawing, shift)
    drawing.axes.set_ylabel("Share of the rows")
    drawing.axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    # Above the axes, where it hides no bar.
    drawing.axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, handlelength=0.9, borderaxespad=0.2)
    return drawing.svg(f"Values of {shift.now.name} now and in the reference")


def _draw_numbers(drawing: Drawing, shift: Shift) -> None:
    both = np.concatenate([shift.now.finite, shift.before.finite])
    low, high = np.quantile(both, [0.005, 0.995])
    edges = _edges(low, high, whole=shift.now.is_whole and shift.before.is_whole)
    drawing.axes.stairs(_shares(shift.before, edges), edges, fill=True, color=QUIET, alpha=0.35, label="reference")
    drawing.axes.stairs(_shares(shift.now, edges), edges, color=PRIMARY, linewidth=1.6, label="now")


def _edges(low: float, high: float, *, whole: bool) -> NDArray[np.float64]:
    """Return the bounds of bins: of equal width, for whole numbers so that each holds as many of them."""
    if whole or low == high:
        first, last = np.floor(low), np.ceil(high)
        width = np.ceil((last - first + 1) / _BINS)
        return np.arange(first - 0.5, last + width, width)
    return np.linspace(low, high, _BINS + 1)


def _shares(column: Profile, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    # The few values beyond the picture join its outermost bins.
    counts = np.histogram(np.clip(column.finite, edges[0], edges[-1]), edges)[0]
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _draw_categories(drawing: Drawing, shift: Shift) -> None:
    sides = ((shift.before, QUIET, "reference", -0.2), (shift.now, PRIMARY, "now", 0.2))
    total = {
        name: shift.now.counts.get(name, 0) / shift.now.rows + shift.before.counts.get(name, 0) / shift.before.rows
        for name in [*shift.before.counts, *shift.now.counts]
    }
    names = sorted(total, key=lambda name: -total[name])[:_MOST_CATEGORIES]
    for column, colour, label, offset in sides:
        heights = [column.counts.get(name, 0) / max(column.filled, 1) for name in names]
        drawing.axes.bar(np.arange(len(names)) + offset, heights, width=0.38, color=colour, label=label)
    drawing.axes.set_xticks(range(len(names)), [str(name)[:14] for name in names], rotation=35, ha="right")
