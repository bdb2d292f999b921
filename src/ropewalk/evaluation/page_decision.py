"""The decision on the evaluation page, and the comparison that it rests on."""

from ropewalk.evaluation.catalog import BY_TASK, METRICS, Metric
from ropewalk.evaluation.results import Difference, Results
from ropewalk.report.blocks import Cell, CellValue, Fact, Section, Table
from ropewalk.report.format import aligned, count, duration, signed
from ropewalk.training.model import TrainedModel

_SHORT = {"champion": "champion", "gradient_boosting": "boosting"}


def decision(results: Results) -> Section:
    """Return every rule with what was found, its limit and whether it is met."""
    rows: list[list[CellValue]] = [
        [
            rule.rule,
            Cell("met", tone="good") if rule.passed else Cell("missed", tone="bad"),
            *_shown(rule.value, rule.limit),
        ]
        for rule in results.decision.rules
    ]
    table = Table(["Condition", "Result", "Found", "Limit"], rows, numeric=(2, 3), caption="Conditions of promotion")
    return Section("Decision", [table], note=f"A model is promoted when every condition is met. {_champion(results)}")


def _champion(results: Results) -> str:
    champion = results.champion
    if champion is None:
        return "There is no champion yet, so nothing in use can get worse."
    if champion.problem:
        return f"The champion, version {champion.version}, cannot be compared with: {champion.problem}"
    return f"The champion, version {champion.version}, was scored on the same {count(len(results.truth))} test rows."


def _shown(value: float | None, limit: float | None) -> list[str | None]:
    known = iter(aligned([each for each in (value, limit) if each is not None]))
    return [None if each is None else next(known) for each in (value, limit)]


def difference_fact(best: Metric, results: Results) -> Fact:
    """Return the model's headline metric against the champion's, or else against gradient boosting's."""
    compared = results.differences[0]
    value, (low, high) = compared.values[best.name], compared.intervals[best.name]
    _, shown, shown_low, shown_high = aligned([results.model.scores[best.name], value, low, high])
    word = _word(best, compared)
    told = f"{word} in {best.noun}" if word == "no clear difference" else f"{word} {best.noun}"
    label = "Against the champion" if compared.contender.name == "champion" else "Against gradient boosting"
    return Fact(label, signed(shown), detail=f"{told}; 95 % interval {signed(shown_low)} to {signed(shown_high)}")


def comparison(model: TrainedModel, results: Results) -> Section:
    """Return the model's scores beside the champion's and the baselines'."""
    headers = ["Metric", *(each.title for each in results.contenders)]
    compared = results.differences[0] if results.differences else None
    if compared is not None:
        headers.append(f"Against {_SHORT[compared.contender.name]}")
    rows = [_row(METRICS[name], results, compared) for name in BY_TASK[model.task]]
    rows.append(_fitting_row(results, compared))
    caption = "Scores and 95 % intervals; the best is bold"
    return Section(
        "Comparison", [Table(headers, rows, caption=caption, numeric=range(1, len(headers)))], note=_note(results)
    )


def _note(results: Results) -> str:
    told = []
    if results.difference("champion") is not None:
        told.append("The champion is the version in use, scored on the same rows.")
    boosting = results.difference("gradient_boosting")
    if boosting is not None:
        told.append(
            "Gradient boosting is scikit-learn's HistGradientBoosting with default settings on the same columns, "
            f"fitted on {count(boosting.contender.rows or 0)} training rows."
        )
    told.append("A guess gives every row the same answer: the class shares, or the mean, of the training rows.")
    return " ".join(told)


def _row(metric: Metric, results: Results, compared: Difference | None) -> list[CellValue]:
    values = [each.scores[metric.name] for each in results.contenders]
    best = min(values) if metric.lower_is_better else max(values)
    spans = [*results.intervals[metric.name]]
    if compared is not None:
        spans += [compared.values[metric.name], *compared.intervals[metric.name]]
    shown = aligned([*values, *spans])
    texts, (low, high), difference = (
        shown[: len(values)],
        shown[len(values) : len(values) + 2],
        shown[len(values) + 2 :],
    )
    title = f"{metric.title} ↓" if metric.lower_is_better else metric.title
    row: list[CellValue] = [Cell(title, title="less is better" if metric.lower_is_better else "more is better")]
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        detail = "" if place else f"{low} to {high}"
        row.append(Cell(text, strong=value == best, title="best" if value == best else "", detail=detail))
    if compared is None:
        return row
    span = f"95 % interval {signed(difference[1])} to {signed(difference[2])}"
    return [*row, Cell(signed(difference[0]), detail=_word(metric, compared), title=span)]


def _word(metric: Metric, compared: Difference) -> str:
    low, high = compared.intervals[metric.name]
    if low <= 0 <= high:
        return "no clear difference"
    return "better" if (high < 0) == metric.lower_is_better else "worse"


def _fitting_row(results: Results, compared: Difference | None) -> list[CellValue]:
    times = [duration(each.seconds) if each.seconds else None for each in results.contenders]
    return ["Time to fit", *times, *([None] if compared is not None else [])]
