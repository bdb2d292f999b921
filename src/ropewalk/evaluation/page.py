"""The evaluation page: verdict first, then the comparison, then how the model behaves and what it was made from."""

from collections.abc import Sequence
from typing import Any

from ropewalk.artifacts import RAW_DATA, SPLIT, Manifest
from ropewalk.evaluation.behaviour import behaviour
from ropewalk.evaluation.catalog import BY_TASK, METRICS, Metric, gain, headline
from ropewalk.evaluation.results import Results
from ropewalk.preprocess.columns import UNUSED, Column
from ropewalk.report import plots
from ropewalk.report.blocks import Cell, CellValue, Fact, Facts, Plot, Plots, Section, Table
from ropewalk.report.format import aligned, count, duration, number, percent, short, signed
from ropewalk.report.page import render_page
from ropewalk.report.plots import Line
from ropewalk.training.model import TrainedModel

_TASKS = {"binary": "Binary classification", "multiclass": "Classification", "regression": "Regression"}
_SECOND = {"binary": "average_precision", "multiclass": "macro_f1", "regression": "r2"}


def evaluation_page(model: TrainedModel, results: Results, *, train: Manifest, test: Manifest) -> str:
    """Return the page as HTML."""
    decision = results.decision
    promoted = decision.verdict == "promote"
    unseen = f"{count(len(results.truth))} rows that training never saw."
    return render_page(
        eyebrow="Model evaluation",
        title=f"Predicting {model.target}",
        subtitle=_subtitle(model, results, test),
        status=("good" if promoted else "bad", "Promote" if promoted else "Hold", decision.reason),
        headline=_headline(model, results),
        sections=[
            _comparison(model, results),
            Section("On the test rows", behaviour(model, results), note=unseen),
            _decision(results),
            _training(model),
            _data(model, train, test),
            _columns(model.preprocessor.columns),
        ],
    )


def _subtitle(model: TrainedModel, results: Results, test: Manifest) -> str:
    parts = [_TASKS[model.task]]
    if model.task == "binary":
        parts.append(f"{model.classes[1]} against {model.classes[0]}")
    elif model.classes:
        parts.append(f"{len(model.classes)} classes")
    source = _source(test, RAW_DATA).get("source", "")
    return " · ".join([*parts, *([source] if source else []), f"{count(len(results.truth))} test rows"])


def _headline(model: TrainedModel, results: Results) -> list[Fact]:
    best = headline(model.task)
    scores = results.model.scores
    value, low, high = aligned([scores[best.name], *results.interval])
    second = METRICS[_SECOND[model.task]]
    beside, guess = aligned([scores[second.name], results.trivial.scores[second.name]])
    sure = f"95 % interval {low} to {high}" if low < high else "too few mistakes for an interval"
    facts = [Fact(best.title, value, detail=sure), Fact(second.title, beside, detail=f"{guess} for a guess")]
    if results.difference is not None:
        facts.append(_difference(best, scores[best.name], results.difference))
    latency = duration(results.speed.single_row_seconds)
    facts.append(Fact("Rows per second", count(round(results.speed.rows_per_second)), detail=f"{latency} for one row"))
    return facts


def _difference(metric: Metric, value: float, difference: tuple[float, float, float]) -> Fact:
    _, shown, low, high = aligned([value, *difference])
    better = gain(metric, difference[0], 0) > 0
    clear = not difference[1] <= 0 <= difference[2]
    name = metric.title.lower() if metric.title.istitle() else metric.title
    word = f"{'better' if better else 'worse'} {name}" if clear else f"no clear difference in {name}"
    span = f"95 % interval {signed(low)} to {signed(high)}"
    return Fact("Against gradient boosting", signed(shown), detail=f"{word}; {span}")


def _comparison(model: TrainedModel, results: Results) -> Section:
    others = [each.title for each in results.contenders[1:]]
    headers = ["Metric", results.model.title, *others]
    if results.boosting is not None:
        headers.append("Against boosting")
    rows = [_comparison_row(METRICS[name], results) for name in BY_TASK[model.task]]
    rows.append(_fitting_row(results))
    table = Table(headers, rows, caption="Scores on the test rows; the best is bold", numeric=range(1, len(headers)))
    return Section("Comparison", [table], note=_comparison_note(results))


def _comparison_note(results: Results) -> str:
    guess = "A guess gives every row the same answer: the class shares, or the mean, of the training rows."
    if results.boosting is None:
        return guess
    boosting = (
        "Gradient boosting is scikit-learn's HistGradientBoosting with default settings on the same columns, "
        f"fitted on {count(results.boosting.rows)} training rows."
    )
    return f"{boosting} {guess}"


def _comparison_row(metric: Metric, results: Results) -> list[CellValue]:
    values = [each.scores[metric.name] for each in results.contenders]
    best = min(values) if metric.lower_is_better else max(values)
    difference = values[0] - values[1]
    *shown, shown_difference = aligned([*values, difference])
    title = f"{metric.title} ↓" if metric.lower_is_better else metric.title
    row: list[CellValue] = [Cell(title, title="less is better" if metric.lower_is_better else "more is better")]
    for value, text in zip(values, shown, strict=True):
        row.append(Cell(text, strong=value == best, title="best" if value == best else ""))
    if results.boosting is None:
        return row
    ahead = gain(metric, difference, 0)
    word = "better" if ahead > 0 else "worse" if ahead < 0 else "equal"
    return [*row, Cell(signed(shown_difference), detail=word)]


def _fitting_row(results: Results) -> list[CellValue]:
    times = [duration(each.seconds) if each.seconds else None for each in results.contenders]
    return ["Time to fit", *times, *([None] if results.boosting is not None else [])]


def _decision(results: Results) -> Section:
    rows: list[list[CellValue]] = [
        [
            rule.rule,
            *aligned([rule.value, rule.limit]),
            Cell("met", tone="good") if rule.passed else Cell("not met", tone="bad"),
        ]
        for rule in results.decision.rules
    ]
    table = Table(["Condition", "Found", "Limit", "Result"], rows, numeric=(1, 2), caption="Conditions of promotion")
    return Section("Decision", [table], note="A model is promoted when every condition is met.")


def _training(model: TrainedModel) -> Section:
    history, facts = model.history, model.manifest.facts
    epochs = [entry["epoch"] for entry in history]
    best_epoch = int(facts["best_epoch"])
    losses = [
        Line(name="Training", x=epochs, y=[entry["train_loss"] for entry in history]),
        Line(name="Validation", x=epochs, y=[entry["validation_loss"] for entry in history]),
    ]
    drawn = [
        Plot(
            plots.training_curve(losses, best_epoch=best_epoch, y_label="Loss", label="Loss over epochs"),
            f"Epoch {best_epoch} of {len(history)}, the dashed line, was kept.",
            title="Loss",
        )
    ]
    for name in (name for name in METRICS if f"validation_{name}" in history[0] and name != "log_loss"):
        values = [entry[f"validation_{name}"] for entry in history]
        title = METRICS[name].title
        drawn.append(
            Plot(
                plots.training_curve(
                    [Line(name=title, x=epochs, y=values)],
                    best_epoch=best_epoch,
                    y_label=title,
                    label=f"{title} of the validation rows over epochs",
                ),
                f"{number(values[best_epoch - 1])} at the epoch that was kept.",
                title=f"{title} on validation rows",
            )
        )
    named = [
        Fact("Architecture", str(facts["architecture"])),
        Fact("Parameters", count(facts["parameters"])),
        Fact("Epochs", f"{len(history)}", detail=f"best: {best_epoch}"),
        Fact("Time", duration(facts["seconds"])),
        Fact("Computed on", str(facts["device"]), detail=str(facts["precision"])),
        Fact("Seed", str(facts["seed"])),
    ]
    return Section("Training", [Plots([*drawn, Facts(named)])])


def _data(model: TrainedModel, train: Manifest, test: Manifest) -> Section:
    raw = _source(test, RAW_DATA)
    sources = [source["facts"] for source in model.manifest.made_from if source["kind"] == SPLIT]
    validation: dict[str, Any] = next((facts for facts in sources if facts.get("split") == "validation"), {})
    facts = [
        _named("Source", raw.get("source")),
        _named("Path", raw.get("path")),
        _named("Revision", raw.get("revision")),
        _digest("Commit", raw.get("commit")),
        _digest("Data hash", raw.get("hash")),
        _named("Training rows", count(train.facts["rows"])),
        _named("Validation rows", count(validation["rows"]) if validation else None),
        _named("Test rows", count(test.facts["rows"])),
        _digest("Training split", train.digest),
        _digest("Test split", test.digest),
        _digest("Model", model.manifest.digest),
    ]
    note = "What the model was made from. Commits and digests are shortened; point at one to see all of it."
    return Section("Data and lineage", [Facts([fact for fact in facts if fact is not None])], note=note)


def _named(label: str, value: Any) -> Fact | None:
    return Fact(label, str(value)) if value else None


def _digest(label: str, value: Any) -> Fact | None:
    return Fact(label, short(str(value)), title=str(value)) if value else None


def _source(manifest: Manifest, kind: str) -> dict[str, Any]:
    """Return the facts of the nearest ancestor of this kind, or none."""
    level: Sequence[dict[str, Any]] = manifest.made_from
    while level:
        for source in level:
            if source["kind"] == kind:
                return dict(source["facts"])
        level = [each for source in level for each in source["made_from"]]
    return {}


def _columns(columns: Sequence[Column]) -> Section:
    described: dict[str, list[CellValue]] = {
        "Column": [column.name for column in columns],
        "Read as": [_role(column) for column in columns],
        "Type": [column.type for column in columns],
        "Missing": [percent(column.missing) if column.missing else None for column in columns],
        "Categories": [count(column.categories) if column.categories else None for column in columns],
        "Because it": [column.reason for column in columns],
    }
    told = {name: cells for name, cells in described.items() if any(cells)}
    headers = list(told)
    numeric = [headers.index(name) for name in ("Missing", "Categories") if name in told]
    table = Table(headers, list(zip(*told.values(), strict=True)), numeric=numeric, caption="In the training rows")
    used = sum(column.role not in UNUSED for column in columns)
    return Section("Columns", [table], note=f"The model reads {used} of {len(columns)} columns.")


def _role(column: Column) -> CellValue:
    return Cell("set aside", tone="neutral") if column.role in UNUSED else column.role
