"""Matplotlib figures as inline SVG that takes its colours and font from the page around it."""

import io
import re
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stand-ins that matplotlib draws with; each becomes a CSS variable, so that a plot follows light and dark.
INK = "#010a01"
MUTED = "#010a02"
GRID = "#010a03"
PRIMARY = "#010b01"
SECONDARY = "#010b02"
QUIET = "#010b03"
SERIES = (PRIMARY, SECONDARY, "#010c01", "#010c02", "#010c03", "#010c04")

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PRIMARY: "--series-1",
    SECONDARY: "--series-2",
    QUIET: "--quiet",
    SERIES[2]: "--series-3",
    SERIES[3]: "--series-4",
    SERIES[4]: "--series-5",
    SERIES[5]: "--series-6",
}

_POINT = 0.75
"""A CSS pixel in typographic points, the unit of matplotlib's SVG."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ropewalk",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 11.5 * _POINT,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.labelpad": 5,
    "axes.linewidth": 0.75,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 11.5 * _POINT,
    "legend.frameon": False,
    "legend.handlelength": 1.2,
    "legend.labelcolor": INK,
    "legend.borderpad": 0.2,
    "lines.linewidth": 1.7,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0,
    "text.color": INK,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
}


styled = matplotlib.rc_context(_STYLE)
"""Decorator of functions that draw: matplotlib reads its settings at every call, not only at the first."""


class Drawing:
    """One set of axes in a figure of the size that a phone shows without shrinking it."""

    def __init__(self, *, width: float = 340, height: float = 300) -> None:
        """Make empty axes; sizes in CSS pixels."""
        self.figure = Figure(figsize=(width * _POINT / 72, height * _POINT / 72), layout="constrained")
        self.axes: Axes = self.figure.subplots()

    def grid(self) -> None:
        """Put quiet grid lines behind the data."""
        self.axes.grid(visible=True)
        self.axes.set_axisbelow(True)

    def unit_square(self) -> None:
        """Show both axes from 0 to 1, equally long."""
        ticks = (0, 0.25, 0.5, 0.75, 1)
        self.axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xticks=ticks, yticks=ticks, aspect="equal")
        for axis in (self.axes.xaxis, self.axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        self.grid()

    def svg(self, label: str) -> str:
        """Return the drawing as an `<svg>` element that reads as `label` to someone who cannot see it."""
        stream = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.figure.savefig(stream, format="svg", metadata=nothing)
        return _inline(stream.getvalue(), label)


def _inline(document: str, label: str) -> str:
    body = document[document.index("<svg") :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body)
    assert box is not None, "matplotlib wrote an SVG without a viewBox"
    head = f'<svg class="drawing" role="img" aria-label="{escape(label)}" viewBox="0 0 {box[1]} {box[2]}">'
    body = head + body[body.index(">") + 1 :]
    body = _without_unused_ids(body)
    body = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", body)
    body = re.sub(r"font: (?:([\w ]+) )?([\d.]+)px [^;\"]*", r"font: \1 \2px var(--font)", body)
    body = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", body)
    body = body.replace("xlink:href", "href")
    for stand_in, variable in _VARIABLES.items():
        body = body.replace(stand_in, f"var({variable})")
    return re.sub(r"\n\s*", "\n", body).strip()


def _without_unused_ids(body: str) -> str:
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', body))
    names = {first or second for first, second in used}
    return re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in names else "", body)
