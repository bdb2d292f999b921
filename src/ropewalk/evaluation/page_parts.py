"""Parts of the evaluation page: the chosen threshold, slices, what columns are worth, and speed."""

from collections.abc import Sequence

import numpy as np

from ropewalk.evaluation.catalog import Metric, gain, headline
from ropewalk.evaluation.importance import Importance
from ropewalk.evaluation.results import Results
from ropewalk.evaluation.slices import Slice
from ropewalk.evaluation.threshold import COSTS
from ropewalk.report import plots
from ropewalk.report.blocks import Cell, CellValue, Fact, Facts, Plot, Plots, Section, Table
from ropewalk.report.format import aligned, count, duration, number, percent, signed, size
from ropewalk.training.model import TrainedModel

_MOST_SLICES = 12
_MOST_COLUMNS = 15
_MOST_FACTS = 6
_TITLES = {"precision": "Precision", "recall": "Recall", "cost_per_row": "Cost per row"}


def operating_point(model: TrainedModel, results: Results) -> list[Section]:
    """Return the chosen threshold and what it gives, where one was asked for."""
    point = results.operating_point
    if point is None:
        return []
    facts = [Fact("Threshold", number(point.threshold), detail=f"{model.classes[1]} from it on")]
    for name, found in point.scores.items():
        value, low, high = aligned(found)
        facts.append(Fact(_TITLES[name], value, detail=f"95 % interval {low} to {high}"))
    drawn = Plot(
        plots.confusion(
            np.asarray(point.confusion),
            model.classes,
            label=f"Confusion matrix of {', '.join(model.classes)} at the chosen threshold",
        ),
        "Rows and their share of the true class at the chosen threshold.",
        title="Confusion matrix",
    )
    missed = "" if point.reached else " No threshold reaches it: this is the closest."
    note = (
        f"Chosen on the test rows {_purpose(results)}.{missed} Each half of the rows is judged by the threshold that "
        "the other half chose, so that the scores do not flatter it."
    )
    return [Section("Chosen threshold", [Plots([drawn, Facts(facts)])], note=note)]


def _purpose(results: Results) -> str:
    wanted = results.threshold_wanted
    if set(COSTS) <= set(wanted):
        false, missed = (f"{wanted[name]:g}" for name in COSTS)
        return f"for the least cost, {false} per false alarm and {missed} per miss"
    name, target = next(iter(wanted.items()))
    other = "recall" if name == "precision" else "precision"
    return f"for the highest {other} at a {name} of {percent(target)} or more"


def slices(model: TrainedModel, results: Results) -> list[Section]:
    """Return the worst slices, where any has rows enough."""
    if not results.slices:
        return []
    best = headline(model.task)
    shown = results.slices[:_MOST_SLICES]
    against = results.difference("champion") is not None
    headers = [
        "Slice",
        "Rows",
        best.title,
        "95 % interval",
        *(["Against champion"] if against else []),
        "Against overall",
    ]
    overall = results.model.scores[best.name]
    rows = [_slice_row(best, each, overall, against=against) for each in shown]
    note = (
        f"The worst {len(shown)} of {len(results.slices)} slices: each category, and each fifth of the numbers and "
        f"times, of every column. Overall, {best.noun} is {number(overall)}."
    )
    table = Table(headers, rows, numeric=range(1, len(headers) - 1), caption=f"{best.title} in parts of the test rows")
    return [Section("Slices", [table], note=note)]


def _slice_row(best: Metric, each: Slice, overall: float, *, against: bool) -> list[CellValue]:
    value, low, high = aligned([each.value, each.low, each.high])
    row: list[CellValue] = [Cell(each.column, detail=each.part), count(each.rows), value, f"{low} to {high}"]
    if against:
        gained = each.gain or 0.0
        shown = aligned([each.value, -gained if best.lower_is_better else gained])[1]
        row.append(signed(shown))
    better_end = each.low if best.lower_is_better else each.high
    worse = gain(best, better_end, overall) < 0
    return [*row, Cell("worse", tone="warn") if worse else "within chance"]


def importance(model: TrainedModel, results: Results) -> list[Section]:
    """Return what columns are worth to the model, where it was measured."""
    found = results.importance[:_MOST_COLUMNS]
    if not found:
        return []
    best = headline(model.task)
    rest = len(results.importance) - len(found)
    drawn = plots.ranges(
        [each.column for each in found],
        [each.loss for each in found],
        low=[each.low for each in found],
        high=[each.high for each in found],
        x_label=f"Loss of {best.noun}",
        label=f"Loss of {best.noun} when a column is shuffled: {_first(results)}",
    )
    caption = f"What {best.noun} loses when one column is shuffled. Bars are 95 % intervals."
    more = f" {rest} more columns lose less." if rest else ""
    note = f"Columns that tell the same share their worth: shuffling one leaves the other.{more}"
    worths = Facts([_worth(each) for each in found[:_MOST_FACTS]])
    shown = Plots([Plot(drawn, caption, title="Permutation importance"), worths])
    return [Section("What columns are worth", [shown], note=note)]


def _first(results: Results) -> str:
    first = results.importance[0]
    return f"most, {number(first.loss)}, for {first.column}"


def _worth(each: Importance) -> Fact:
    value, low, high = aligned([each.loss, each.low, each.high])
    return Fact(each.column, value, detail=f"95 % interval {low} to {high}")


def speed(results: Results) -> Section:
    """Return how fast the model answered, and how large it is."""
    found = results.speed
    facts: Sequence[Fact] = [
        Fact("One row", duration(found.row_seconds), detail=f"19 of 20 within {duration(found.slow_row_seconds)}"),
        Fact(f"{count(found.batch_rows)} rows at once", duration(found.batch_seconds), detail="median"),
        Fact("Rows per second", count(round(found.rows_per_second)), detail="all test rows"),
        Fact("Size", size(found.model_bytes), detail="the model's files"),
    ]
    return Section("Speed and size", [Facts(facts)], note="Raw rows in, predictions out, on the machine of this run.")
