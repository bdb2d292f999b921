"""How a model behaves on the test rows, drawn: the plots that fit its task."""

from collections.abc import Callable

import numpy as np

from ropewalk.evaluation.curves import error_points, precision_recall_points, roc_points
from ropewalk.evaluation.metrics import roc_auc
from ropewalk.evaluation.results import Contender, Results
from ropewalk.report import plots
from ropewalk.report.blocks import Block, CellValue, Plot, Plots, Table
from ropewalk.report.format import aligned, number, percent
from ropewalk.report.plots import Line
from ropewalk.training.model import TrainedModel

_MOST_DRAWN_CLASSES = 30
_HARDEST = 6


def behaviour(model: TrainedModel, results: Results) -> list[Block]:
    """Return the plots and tables for the model's task."""
    return _BY_TASK[model.task](model, results)


def _binary(model: TrainedModel, results: Results) -> list[Block]:
    negative, positive = model.classes
    curves, truth = results.curves, results.truth
    rates = _named_lines(
        results, lambda each: roc_points(truth, each.predicted[:, 1]), "false_positive_rate", "true_positive_rate"
    )
    precisions = _named_lines(
        results, lambda each: precision_recall_points(truth, each.predicted[:, 1]), "recall", "precision"
    )
    share = float(np.mean(truth))
    area, precision = results.model.scores["roc_auc"], results.model.scores["average_precision"]
    shares = curves["scores"]
    thresholds = curves["thresholds"]
    return [
        Plots(
            [
                Plot(
                    plots.roc(rates, label=f"ROC curve; the area under the model's curve is {number(area)}"),
                    f"Area {number(area)}. The dashed line is a guess.",
                    title="ROC curve",
                ),
                Plot(
                    plots.precision_recall(
                        precisions,
                        base_rate=share,
                        label=f"Precision over recall; average precision is {number(precision)}",
                    ),
                    f"Average {number(precision)}. {percent(share)} of the rows are {positive}, the dashed line.",
                    title="Precision and recall",
                ),
                _calibration_plot(
                    results,
                    "On the dashed line, probabilities can be taken at their word.",
                    label="Observed share of positives over predicted probability, in bins of equally many rows",
                ),
                _confusion_plot(model, results),
                Plot(
                    plots.score_distribution(
                        shares["edges"],
                        [shares["negative"], shares["positive"]],
                        [negative, positive],
                        label=f"Distribution of the predicted probability of {positive}, for each true class",
                    ),
                    f"Probability of {positive} by true class: the less overlap, the better.",
                    title="Scores by class",
                ),
                Plot(
                    plots.thresholds(
                        [
                            Line(name="Precision", x=thresholds["threshold"], y=thresholds["precision"]),
                            Line(name="Recall", x=thresholds["threshold"], y=thresholds["recall"]),
                        ],
                        label="Precision and recall over the decision threshold",
                        chosen=results.operating_point.threshold if results.operating_point else 0.5,
                    ),
                    f"The dashed line is the {'chosen' if results.operating_point else 'usual'} threshold.",
                    title="Choice of threshold",
                ),
            ]
        )
    ]


def _multiclass(model: TrainedModel, results: Results) -> list[Block]:
    drawn = [
        _hardest_classes(model, results),
        _calibration_plot(
            results,
            "How often answers were right, by how sure the model was.",
            label="Share of right answers over the probability that the model gave them",
        ),
    ]
    if len(model.classes) <= _MOST_DRAWN_CLASSES:
        drawn.insert(0, _confusion_plot(model, results))
    rows: list[list[CellValue]] = [
        [name, int(scores["rows"]), number(scores["precision"]), number(scores["recall"]), number(scores["f1"])]
        for name, scores in zip(model.classes, results.curves["classes"], strict=True)
    ]
    headers = ["Class", "Test rows", "Precision", "Recall", "F1"]
    return [Plots(drawn), Table(headers, rows, numeric=(1, 2, 3, 4), caption="Scores by class")]


def _hardest_classes(model: TrainedModel, results: Results) -> Plot:
    truth, predicted = results.truth, results.model.predicted
    present = [int(each) for each in np.unique(truth)]
    areas = {each: roc_auc(truth == each, predicted[:, each]) for each in present}
    hardest = sorted(present, key=lambda each: areas[each])[:_HARDEST]
    lines = []
    for each in hardest:
        points = roc_points(truth == each, predicted[:, each])
        name = f"{model.classes[each]} ({number(areas[each])})"
        lines.append(Line(name=name, x=points["false_positive_rate"], y=points["true_positive_rate"]))
    which = "Each class" if len(present) <= _HARDEST else f"The {_HARDEST} hardest classes"
    label = f"ROC curves of {', '.join(line.name for line in lines)}, each class against the rest"
    return Plot(plots.roc(lines, label=label), f"{which} against the rest, with the area.", title="ROC curves")


def _calibration_plot(results: Results, caption: str, *, label: str) -> Plot:
    curve = results.curves["calibration"]
    drawn = plots.calibration(curve["predicted"], curve["observed"], low=curve["low"], high=curve["high"], label=label)
    error, chance = results.calibration or (0.0, 0.0)
    shown, by_chance = aligned([error, chance])
    told = f"{caption} Error {shown}; up to {by_chance} is chance. Bars are 95 % intervals."
    return Plot(drawn, told, title="Calibration")


def _confusion_plot(model: TrainedModel, results: Results) -> Plot:
    matrix = np.asarray(results.curves["confusion"])
    right = number(results.model.scores["accuracy"])
    names = ", ".join(model.classes) if len(model.classes) <= _HARDEST else f"{len(model.classes)} classes"
    at = " at threshold 0.5" if model.task == "binary" else ""
    return Plot(
        plots.confusion(matrix, model.classes, label=f"Confusion matrix of {names}{at}; accuracy is {right}"),
        f"Rows and their share of the true class{at}.",
        title="Confusion matrix",
        wide=plots.is_wide(model.classes),
    )


def _regression(model: TrainedModel, results: Results) -> list[Block]:
    truth, predicted = np.asarray(results.truth, dtype=np.float64), results.model.predicted
    errors = predicted - truth
    lines = _named_lines(results, lambda each: error_points(truth, each.predicted), "error", "share")
    half = float(np.median(np.abs(errors)))
    return [
        Plots(
            [
                Plot(
                    plots.predicted_vs_actual(
                        truth, predicted, unit=model.target, label=f"Predicted over true {model.target}"
                    ),
                    "On the dashed line, predictions are exact.",
                    title="Predicted and true",
                ),
                Plot(
                    plots.residuals(errors, unit=model.target, label="Histogram of errors, predicted minus true"),
                    f"Predicted minus true; {number(float(errors.mean()))} on average.",
                    title="Errors",
                ),
                Plot(
                    plots.cumulative_errors(lines, unit=model.target, label="Share of rows within an error"),
                    f"Half of the rows are within {number(half)}.",
                    title="Rows within an error",
                ),
            ]
        )
    ]


_BY_TASK: dict[str, Callable[[TrainedModel, Results], list[Block]]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}


def _named_lines(results: Results, points: Callable[[Contender], dict[str, list[float]]], x: str, y: str) -> list[Line]:
    found = [(each.title, points(each)) for each in results.drawn]
    return [Line(name=title, x=values[x], y=values[y]) for title, values in found]
