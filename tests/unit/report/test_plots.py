"""Plots draw any data that can come, speak to screen readers, and take their colours from the page."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
import pytest

from ropewalk.report import plots
from ropewalk.report.plots import Line

X = np.linspace(0, 1, 50)
PAIR = [Line(name="This model", x=X, y=X**0.4), Line(name="Gradient boosting", x=X, y=X**0.6)]
MANY = [Line(name=f"class {each}", x=X, y=X ** (each / 10)) for each in range(1, 10)]
LONG = ["a class with a very long name indeed, as people have them"] * 2

DRAWN: dict[str, Callable[[], str]] = {
    "roc": lambda: plots.roc(PAIR, label="what it shows"),
    "roc of many": lambda: plots.roc(MANY, label="what it shows"),
    "precision_recall": lambda: plots.precision_recall(PAIR, base_rate=0.02, label="what it shows"),
    "calibration": lambda: plots.calibration(X, X, low=X - 0.1, high=X + 0.1, label="what it shows"),
    "calibration of one point": lambda: plots.calibration([0.5], [1.0], low=[0.2], high=[1.0], label="what it shows"),
    "confusion": lambda: plots.confusion(np.array([[90, 1], [0, 0]]), LONG, label="what it shows"),
    "confusion of 6": lambda: plots.confusion(np.eye(6, dtype=int), list("abcdef"), label="what it shows"),
    "confusion of 30": lambda: plots.confusion(np.eye(30, dtype=int), LONG * 15, label="what it shows"),
    "score_distribution": lambda: plots.score_distribution(
        [0, 0.5, 1], [[0.9, 0.1], [0.0, 1.0]], LONG, label="what it shows"
    ),
    "thresholds": lambda: plots.thresholds(PAIR, label="what it shows"),
    "predicted_vs_actual": lambda: plots.predicted_vs_actual(X, X, unit="price", label="what it shows"),
    "predicted_vs_actual of many": lambda: plots.predicted_vs_actual(
        np.sin(np.arange(9000)), np.cos(np.arange(9000)), unit="price", label="what it shows"
    ),
    "predicted_vs_actual of one value": lambda: plots.predicted_vs_actual(
        [1e9, 1e9], [1e9, 1e9], unit="price", label="what it shows"
    ),
    "residuals": lambda: plots.residuals(np.sin(np.arange(500)), unit="price", label="what it shows"),
    "residuals of nothing but zeros": lambda: plots.residuals(np.zeros(5), unit="price", label="what it shows"),
    "cumulative_errors": lambda: plots.cumulative_errors(PAIR, unit="price", label="what it shows"),
    "training_curve": lambda: plots.training_curve(
        [Line(name="Loss", x=[1, 2, 3], y=[3, 2, 2.5])], best_epoch=2, y_label="Loss", label="what it shows"
    ),
    "training_curve of one epoch": lambda: plots.training_curve(
        [Line(name="Loss", x=[1], y=[3])], best_epoch=1, y_label="Loss", label="what it shows"
    ),
    "bars": lambda: plots.bars(["a", "b", LONG[0]], [3, 0.5, -1], label="what it shows"),
    "bars of zeros": lambda: plots.bars(["a"], [0], label="what it shows"),
    "ranges": lambda: plots.ranges(["a", LONG[0]], [0.5, 0], low=[0.4, -0.1], high=[0.6, 0.1], label="what it shows"),
    "ranges of nothing": lambda: plots.ranges(["a"], [0], low=[0], high=[0], label="what it shows"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_plot_is_valid_xml_with_a_role_and_a_label(name: str) -> None:
    root = ElementTree.fromstring(DRAWN[name]())
    assert root.get("role") == "img"
    assert root.get("aria-label") == "what it shows"
    assert root.get("viewBox")
    assert "width" not in root.attrib


@pytest.mark.parametrize("name", DRAWN)
def test_a_plot_has_no_colour_font_or_style_of_its_own(name: str) -> None:
    svg = DRAWN[name]()
    assert not re.findall(r"#[0-9a-fA-F]{6}\b", svg)
    assert "var(--" in svg
    assert "DejaVu" not in svg
    assert "<style" not in svg


@pytest.mark.parametrize("name", DRAWN)
def test_a_plot_is_small_and_the_same_each_time(name: str) -> None:
    assert DRAWN[name]() == DRAWN[name]()
    assert len(DRAWN[name]()) < 300_000


def test_a_label_cannot_leave_its_attribute() -> None:
    root = ElementTree.fromstring(plots.roc(PAIR, label='a "quote" & <b>'))
    assert root.get("aria-label") == 'a "quote" & <b>'


def test_names_are_drawn_as_they_are_even_with_dollar_signs() -> None:
    svg = plots.bars(["cost in $ per $"], [1], label="x")
    assert "cost in $ per $" in svg


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    names = [f"a rather long common beginning {end}" for end in ("north", "south")]
    svg = plots.bars(names, [1, 2], label="x")
    texts = set(re.findall(r">([^<>]*…[^<>]*)<", svg))
    assert len(texts) == 2


def test_a_confusion_matrix_writes_counts_and_shares() -> None:
    svg = plots.confusion(np.array([[1234, 0], [25, 75]]), ["no", "yes"], label="x")
    assert "1,234" in svg
    assert "75.0" in svg
