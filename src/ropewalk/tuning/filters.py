"""Reads metrics out of a trial's lines as Katib's collector does (cmd/metricscollector/v1beta1/file-metricscollector).

Expressions have RE2's meaning and its linear time, which Python's `re` cannot promise for a stranger's expression.
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ropewalk.errors import DataError
from ropewalk.tuning.spec import MetricsSource

DEFAULT_FILTER = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
"""Katib's (pkg/metricscollector/v1beta1/common/const.go)."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

Report = tuple[str, float, str | None]
"""Metric name, value (NaN for what is no number), and the line's RFC 3339 time or None."""


def filter_problem(expression: str) -> str:
    """Return what is wrong with a filter, "" if nothing."""
    try:
        compiled = _compile(expression)
    except ValueError as error:
        return f"{expression!r} is no RE2 expression ({error}); RE2 has no look-around and no back-references."
    if compiled.groups < 2:
        return f"{expression!r} has {compiled.groups} groups: need two, for name and value."
    return ""


class LineReader:
    """Finds the reports of the metrics asked for in lines of text or JSON."""

    def __init__(self, source: MetricsSource, metrics: Sequence[str]) -> None:
        """Read `metrics` as `source`, which has been checked, says."""
        self._json = source.kind == "File" and source.format == "JSON"
        self._metrics = tuple(metrics)
        self._filters = [_compile(expression) for expression in source.filters or (DEFAULT_FILTER,)]

    def read(self, line: str) -> list[Report]:
        """Return the reports of one line.

        Raises:
            DataError: The line is no JSON object, but the format says so.
        """
        return self._read_json(line) if self._json else self._read_text(line)

    def _read_text(self, line: str) -> list[Report]:
        if not any(name in line for name in self._metrics):
            return []
        first = line.partition(" ")[0]
        when = first if " " in line and _TIME.fullmatch(first) else None
        return [
            (match.group(1).strip(), to_number(match.group(2)), when)
            for expression in self._filters
            for match in expression.finditer(line)
            if match.group(1) is not None and match.group(1).strip() in self._metrics
        ]

    def _read_json(self, line: str) -> list[Report]:
        if not line.strip():
            return []
        try:
            found = json.loads(line)
        except ValueError as error:
            raise DataError(f"A line of the metrics file is not JSON ({error}): {line[:200]!r}.") from error
        if not isinstance(found, dict):
            raise DataError(f"A line of the metrics file is JSON, but no object: {line[:200]!r}.")
        when = found.get("timestamp")
        time = when if isinstance(when, str) and _TIME.fullmatch(when) else _from_seconds(when)
        return [
            (name, to_number(found[name]), time)
            for name in self._metrics
            # Katib ignores values that are no JSON strings, numbers too.
            if isinstance(found.get(name), str)
        ]


def to_number(text: str | None) -> float:
    """Return the number that a text is, NaN if it is none: "" is what the filter leaves of `loss=nan`."""
    try:
        # Python alone reads 1_000 as a number.
        return float((text or "").replace("_", "?"))
    except ValueError:
        return math.nan


def _from_seconds(value: Any) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 2**40:
        return None
    return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")


def _compile(expression: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode() if isinstance(reason, bytes) else reason) from error
