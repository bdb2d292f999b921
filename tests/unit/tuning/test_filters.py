"""Metrics in a trial's lines, as Katib's collector reads them."""

import math
import time

import pytest

from ropewalk.errors import DataError
from ropewalk.tuning.filters import LineReader
from ropewalk.tuning.spec import MetricsSource

LINES = [
    ("loss=0.3", [("loss", 0.3)]),
    ("epoch 3: loss = 1.5e-4", [("loss", 1.5e-4)]),
    ("loss=-2 acc=+.5", [("loss", -2.0), ("acc", 0.5)]),
    ("loss: 0.3", []),
    ('{"loss": 0.3}', []),
    ("val/loss=0.3", [("loss", 0.3)]),
    ("val-loss=0.3", []),
    ("val_loss=0.3", []),
    ("loss=1,234.5", [("loss", 1.0)]),
    ("loss=nan", [("loss", math.nan)]),
    ("loss=inf", [("loss", math.nan)]),
    ("loss=-inf", [("loss", math.nan)]),
    ("loss=tensor(0.3)", [("loss", math.nan)]),
    ("\x1b[32mloss\x1b[0m=0.3", []),
    ("größe=1 loss=2", [("loss", 2.0)]),
    ("nothing here", []),
    ("", []),
]


def _same(found, expected):
    assert [(name, repr(value)) for name, value, _ in found] == [(name, repr(value)) for name, value in expected]


@pytest.mark.parametrize(("line", "expected"), LINES, ids=[repr(line) for line, _ in LINES])
def test_the_default_filter_reads_what_katibs_reads(line, expected):
    _same(LineReader(MetricsSource(), ("loss", "acc")).read(line), expected)


@pytest.mark.parametrize(
    ("line", "when"),
    [
        ("2024-02-03T04:05:06Z loss=1", "2024-02-03T04:05:06Z"),
        ("2024-02-03T04:05:06.123456789+01:00 loss=1", "2024-02-03T04:05:06.123456789+01:00"),
        ("2024-02-03 04:05:06 loss=1", None),
        ("at 2024-02-03T04:05:06Z loss=1", None),
    ],
)
def test_a_time_counts_only_at_the_start_of_the_line(line, when):
    ((_, _, found),) = LineReader(MetricsSource(), ("loss",)).read(line)
    assert found == when


def test_own_filters_replace_the_default_and_may_match_several_times():
    source = MetricsSource(filters=(r"(\w+): (-?[\d.]+)", r"<(\w+)\|(\d+)>"))
    found = LineReader(source, ("loss", "acc")).read("loss: 0.3, acc: 0.9 <acc|1> loss=5")
    _same(found, [("loss", 0.3), ("acc", 0.9), ("acc", 1.0)])


def test_an_expression_that_would_take_for_ever_elsewhere_takes_no_time():
    reader = LineReader(MetricsSource(filters=(r"((?:a|aa|a)*)x=(\d+)",)), ("loss",))
    started = time.process_time()
    assert reader.read("loss" + "a" * 2000) == []
    assert time.process_time() - started < 1


def test_json_values_must_be_texts():
    reader = LineReader(MetricsSource(kind="File", path="/m", format="JSON"), ("loss", "acc"))
    found = reader.read('{"loss": "0.3", "acc": 0.9, "timestamp": "2024-02-03T04:05:06Z"}')
    assert found == [("loss", 0.3, "2024-02-03T04:05:06Z")]
    assert reader.read('{"loss": "1", "timestamp": 0}') == [("loss", 1.0, "1970-01-01T00:00:00Z")]
    assert reader.read("") == []


@pytest.mark.parametrize("line", ["loss=0.3", "[1]"])
def test_a_line_that_is_no_json_object_is_refused(line):
    with pytest.raises(DataError, match="line of the metrics file is"):
        LineReader(MetricsSource(kind="File", path="/m", format="JSON"), ("loss",)).read(line)
