"""What a trial prints is what the collector reads."""

import subprocess
import sys

import pytest

from ropewalk.errors import TrainingError
from ropewalk.metric_lines import TRIAL, report, report_to_tuner
from ropewalk.tuning.filters import LineReader
from ropewalk.tuning.spec import MetricsSource


@pytest.mark.parametrize("value", [0.25, -1e-17, 1e22, 3, 0.1 + 0.2, 5e-324])
def test_a_report_reads_back_exactly_with_its_time(capsys, value):
    report(**{"val-loss": value})
    ((name, found, when),) = LineReader(MetricsSource(), ("val-loss",)).read(capsys.readouterr().out.rstrip("\n"))
    assert (name, found) == ("val-loss", value)
    assert when.endswith("Z")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_and_nothing_printed(capsys, value):
    with pytest.raises(TrainingError, match="training has diverged"):
        report(acc=1.0, loss=value)
    assert capsys.readouterr().out == ""


def test_a_name_that_the_filter_would_cut_is_refused():
    with pytest.raises(TrainingError, match="'val/loss'"):
        report(**{"val/loss": 1.0})


def test_reporting_loads_nothing_but_the_standard_library():
    script = "import sys; before = set(sys.modules); import ropewalk.metric_lines; print(*set(sys.modules) - before)"
    ended = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stdout.split()}
    assert loaded - sys.stdlib_module_names == {"ropewalk"}


def test_a_model_is_reported_to_a_tuner_and_to_nobody_else(capsys, monkeypatch):
    entry = {"train_loss": 0.5, "validation_loss": 0.25, "validation_roc_auc": float("nan"), "rows": 7, "epoch": 1}
    monkeypatch.delenv(TRIAL, raising=False)
    report_to_tuner(entry)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv(TRIAL, "t-0001")
    report_to_tuner(entry)
    said = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert said == ["train_loss=0.5", "validation_loss=0.25"]
