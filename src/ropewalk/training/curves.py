"""The page of training curves: loss, score, learning rate and speed over epochs."""

from collections.abc import Sequence
from typing import Any

from ropewalk.report import plots
from ropewalk.report.blocks import Fact, Plot, Plots, Section, Table, Text, Tone
from ropewalk.report.format import count, duration, number
from ropewalk.report.page import render_page
from ropewalk.report.plots import Line

_SCORES = {"validation_roc_auc": "ROC AUC", "validation_log_loss": "Log loss", "validation_rmse": "RMSE"}


def curves_page(history: Sequence[dict[str, Any]], *, title: str, score: str, task: str, failure: str = "") -> str:
    """Return the page as HTML.

    Args:
        history: One entry per epoch, at least one, as `fit.Fit.history` has it.
        title: The page's heading.
        score: The history's name of the validation score.
        task: "binary", "multiclass" or "regression".
        failure: Why training ended early, "" when it ended well.
    """
    sign = 1 if task == "binary" else -1
    best = max(history, key=lambda entry: (sign * entry[score], -entry["validation_loss"]))
    last = history[-1]
    return render_page(
        eyebrow="Training",
        title=title,
        subtitle=f"{len(history)} epochs in {duration(last['seconds'])}",
        status=_status(best, score, failure),
        headline=[
            Fact(_SCORES[score], number(best[score]), detail="on validation rows, at the best epoch"),
            Fact("Best epoch", f"{best['epoch']}", detail=f"of {len(history)}"),
            Fact("Rows per second", count(round(_median(history, "rows_per_second"))), detail="median of the epochs"),
            Fact("Time", duration(last["seconds"])),
        ],
        sections=[
            *([Section("What went wrong", [Text(failure)])] if failure else []),
            Section("Learning", [Plots(_learning(history, score, int(best["epoch"])))]),
            Section("Machine", [Plots(_machine(history, int(best["epoch"])))]),
            Section("Epochs", [_table(history, score)]),
        ],
    )


def _status(best: dict[str, Any], score: str, failure: str) -> tuple[Tone, str, str]:
    if failure:
        return "bad", "Stopped", "Training did not end well; the curves show how far it came."
    return "good", "Trained", f"Epoch {best['epoch']} is kept: {_SCORES[score]} {number(best[score])}."


def _learning(history: Sequence[dict[str, Any]], score: str, best: int) -> list[Plot]:
    drawn = [
        _plot(
            history,
            {"train_loss": "Training", "validation_loss": "Validation"},
            best,
            "Loss",
            "The dashed line is the best epoch. Validation rows are scored with averaged parameters, without dropout.",
        )
    ]
    if score != "validation_log_loss":
        name = _SCORES[score]
        drawn.append(_plot(history, {score: name}, best, name, "On the validation rows, after each epoch."))
    drawn.append(_plot(history, {"learning_rate": "Learning rate"}, best, "Learning rate", "At the end of each epoch."))
    return drawn


def _machine(history: Sequence[dict[str, Any]], best: int) -> list[Plot]:
    drawn = [_plot(history, {"rows_per_second": "Rows per second"}, best, "Rows per second", "Without scoring.")]
    for name in sorted({name for entry in history for name in entry if name.startswith("system/")}):
        title = name.removeprefix("system/").replace("_", " ").capitalize().replace("Cpu", "CPU").replace("Gpu", "GPU")
        drawn.append(_plot(history, {name: title}, best, title, "Sampled at the end of each epoch."))
    return drawn


def _plot(history: Sequence[dict[str, Any]], names: dict[str, str], best: int, y_label: str, caption: str) -> Plot:
    lines = []
    for name, title in names.items():
        entries = [entry for entry in history if name in entry]
        lines.append(Line(name=title, x=[entry["epoch"] for entry in entries], y=[entry[name] for entry in entries]))
    label = f"{y_label} over epochs"
    return Plot(plots.training_curve(lines, best_epoch=best, y_label=y_label, label=label), caption, title=y_label)


def _table(history: Sequence[dict[str, Any]], score: str) -> Table:
    names = ["epoch", "train_loss", "validation_loss", score, "learning_rate", "rows_per_second", "seconds"]
    headers = ["Epoch", "Training loss", "Validation loss", _SCORES[score], "Learning rate", "Rows/s", "Seconds"]
    if score == "validation_log_loss":
        del names[3], headers[3]
    rows = [[_shown(entry, name) for name in names] for entry in history]
    return Table(headers, rows, numeric=range(1, len(headers)), caption="Figures of each epoch")


def _shown(entry: dict[str, Any], name: str) -> str:
    if name == "epoch":
        return f"{entry[name]}"
    # Four decimals, as other figures have, would leave one digit of a rate.
    return f"{entry[name]:.3g}" if name == "learning_rate" else number(entry[name])


def _median(history: Sequence[dict[str, Any]], name: str) -> float:
    values = sorted(float(entry[name]) for entry in history)
    return values[len(values) // 2]
