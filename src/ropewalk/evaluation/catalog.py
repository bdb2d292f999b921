"""The metrics that Ropewalk computes: their names, how they are read, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric."""

    name: str
    title: str
    lower_is_better: bool = False

    @property
    def noun(self) -> str:
        """The title inside a sentence."""
        return self.title if self.title[:2].isupper() else self.title[0].lower() + self.title[1:]


_METRICS = (
    Metric(name="roc_auc", title="ROC AUC"),
    Metric(name="average_precision", title="Average precision"),
    Metric(name="accuracy", title="Accuracy"),
    Metric(name="balanced_accuracy", title="Balanced accuracy"),
    Metric(name="f1", title="F1"),
    Metric(name="macro_f1", title="Macro F1"),
    Metric(name="precision", title="Precision"),
    Metric(name="recall", title="Recall"),
    Metric(name="log_loss", title="Log loss", lower_is_better=True),
    Metric(name="brier", title="Brier score", lower_is_better=True),
    Metric(name="rmse", title="RMSE", lower_is_better=True),
    Metric(name="mae", title="Mean absolute error", lower_is_better=True),
    Metric(name="median_absolute_error", title="Median absolute error", lower_is_better=True),
    Metric(name="r2", title="R\N{SUPERSCRIPT TWO}"),
)

METRICS = {metric.name: metric for metric in _METRICS}

BY_TASK = {
    "binary": (
        "roc_auc",
        "average_precision",
        "accuracy",
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
        "log_loss",
        "brier",
    ),
    "multiclass": ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss"),
    "regression": ("rmse", "mae", "median_absolute_error", "r2"),
}
"""The metrics of each task; the first is the headline, which decides against the trivial baseline."""


def headline(task: str) -> Metric:
    """Return the metric that stands for a task."""
    return METRICS[BY_TASK[task][0]]


def gain(metric: Metric, value: float, reference: float) -> float:
    """Return by how much `value` is better than `reference`; negative when it is worse."""
    return reference - value if metric.lower_is_better else value - reference
