"""The page of a tuning experiment as a browser shows it, on a desk and on a phone."""

import math
from pathlib import Path
from typing import Any

import pytest

from ropewalk.report.page import write_page
from ropewalk.tuning.engine import Snapshot, Trial
from ropewalk.tuning.metrics import observe
from ropewalk.tuning.page import tuning_page
from ropewalk.tuning.parse import parse_experiment
from ropewalk.tuning.results import result_of


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ["learning_rate", "hidden_layers", "optimizer"]
    experiment = parse_experiment(
        {
            "name": "flights-delay-tuning-with-a-long-name",
            "parameters": [
                {"name": names[0], "type": "double", "min": 1e-4, "max": 0.1, "distribution": "logUniform"},
                {"name": names[1], "type": "int", "min": 1, "max": 8},
                {"name": names[2], "type": "categorical", "values": ["adam", "sgd", "a-rather-long-optimizer-name"]},
            ],
            "objective": {"metric": "validation_loss", "type": "minimize"},
            "limits": {"max_trials": 30},
            "trial": {"command": ["train", *(f"${{trialParameters.{name}}}" for name in names)]},
        }
    )
    trials = []
    for number in range(30):
        rate = 10 ** (-4 + 3 * ((number * 7) % 30) / 30)
        values = dict(zip(names, (rate, 1 + number % 8, experiment.parameters[2].values[number % 3]), strict=True))
        failed = number % 9 == 8
        trials.append(
            Trial(
                number=number,
                name=f"{experiment.name}-{number:04}",
                values=values,
                state="failed" if failed else "succeeded",
                observations={"validation_loss": observe([(math.log10(rate) + 2) ** 2])},
                seconds=61.0,
                message="exit code 1" if failed else "",
                log_tail=("Traceback (most recent call last):", "x" * 300) if failed else (),
            )
        )
    snapshot = Snapshot(trials=tuple(trials), started=0, end="max_trials_reached")
    file = tmp_path_factory.mktemp("pages") / "tuning.html"
    write_page(file, tuning_page(experiment, snapshot, result_of(experiment, snapshot)))
    return file


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_sideways(browser: Any, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelectorAll('svg.drawing').length") == 3


def test_texts_of_the_drawings_do_not_leave_them(browser: Any, page: Path) -> None:
    browser.open(page, width=1280)
    outside = """[...document.querySelectorAll("svg.drawing text")].filter(text => {
        const [inner, outer] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
        return inner.left < outer.left - 1 || inner.right > outer.right + 1;
    }).map(text => text.textContent)"""
    assert browser.run(outside) == []
