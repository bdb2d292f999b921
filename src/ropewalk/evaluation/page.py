"""The evaluation page: verdict first, then the comparison, then how the model behaves and what it was made from."""

from collections.abc import Sequence

from ropewalk.artifacts import RAW_DATA, Manifest
from ropewalk.evaluation.behaviour import behaviour
from ropewalk.evaluation.catalog import METRICS, headline
from ropewalk.evaluation.page_decision import comparison, decision, difference_fact
from ropewalk.evaluation.page_lineage import lineage, nearest_source
from ropewalk.evaluation.page_parts import importance, operating_point, slices, speed
from ropewalk.evaluation.results import Results
from ropewalk.preprocess.columns import UNUSED, Column
from ropewalk.report import plots
from ropewalk.report.blocks import Cell, CellValue, Fact, Facts, Plot, Plots, Section, Table
from ropewalk.report.format import aligned, count, duration, number, percent
from ropewalk.report.page import render_page
from ropewalk.report.plots import Line
from ropewalk.training.model import TrainedModel

_TASKS = {"binary": "Binary classification", "multiclass": "Classification", "regression": "Regression"}
_SECOND = {"binary": "average_precision", "multiclass": "macro_f1", "regression": "r2"}


def evaluation_page(model: TrainedModel, results: Results, *, train: Manifest, test: Manifest) -> str:
    """Return the page as HTML."""
    promoted = results.decision.verdict == "promote"
    unseen = f"{count(len(results.truth))} rows that training never saw."
    return render_page(
        eyebrow="Model evaluation",
        title=f"Predicting {model.target}",
        subtitle=_subtitle(model, results, test),
        status=("good" if promoted else "bad", "Promote" if promoted else "Hold", results.decision.reason),
        headline=_headline(model, results),
        sections=[
            decision(results),
            comparison(model, results),
            Section("On the test rows", behaviour(model, results), note=unseen),
            *operating_point(model, results),
            *slices(model, results),
            *importance(model, results),
            speed(results),
            _training(model),
            lineage(model, results, train=train, test=test),
            _columns(model.preprocessor.columns),
        ],
    )


def _subtitle(model: TrainedModel, results: Results, test: Manifest) -> str:
    parts = [_TASKS[model.task]]
    if model.task == "binary":
        parts.append(f"{model.classes[1]} against {model.classes[0]}")
    elif model.classes:
        parts.append(f"{len(model.classes)} classes")
    source = nearest_source(test, RAW_DATA).get("facts", {}).get("source", "")
    return " · ".join([*parts, *([source] if source else []), f"{count(len(results.truth))} test rows"])


def _headline(model: TrainedModel, results: Results) -> list[Fact]:
    best = headline(model.task)
    scores = results.model.scores
    value, low, high = aligned([scores[best.name], *results.intervals[best.name]])
    second = METRICS[_SECOND[model.task]]
    beside, guess = aligned([scores[second.name], results.trivial.scores[second.name]])
    sure = f"95 % interval {low} to {high}" if low < high else "too few mistakes for an interval"
    facts = [Fact(best.title, value, detail=sure), Fact(second.title, beside, detail=f"{guess} for a guess")]
    if results.differences:
        facts.append(difference_fact(best, results))
    row = duration(results.speed.row_seconds)
    facts.append(Fact("Rows per second", count(round(results.speed.rows_per_second)), detail=f"{row} for one row"))
    return facts


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
