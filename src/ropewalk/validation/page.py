"""The validation report: verdict, findings, target and every column on one page."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.artifacts import Manifest
from ropewalk.report.blocks import Cell, CellValue, Fact, Facts, Section, Table, Text, Tone
from ropewalk.report.format import count, number, percent, short, size
from ropewalk.report.page import render_page
from ropewalk.validation.findings import Finding
from ropewalk.validation.profile import Profile

_BARS = "▁▂▃▄▅▆▇█"
_MOST_CLASSES = 12
_TOP_VALUES = 3


def render(
    *,
    manifest: Manifest,
    profiles: Sequence[Profile],
    findings: Sequence[Finding],
    target: Profile | None,
    task: str,
    reason: str,
) -> str:
    """Return the page as HTML: what was found, what the target is, and what each column holds."""
    cells = sum(column.rows for column in profiles)
    missing = sum(column.nulls for column in profiles)
    place = [str(manifest.facts.get(name) or "") for name in ("source", "path", "revision")]
    return render_page(
        title="Data validation",
        subtitle=" · ".join(filter(None, place)),
        status=_status(findings),
        headline=[
            Fact("Rows", count(profiles[0].rows)),
            Fact("Columns", count(len(profiles))),
            Fact("Missing cells", percent(missing / cells)),
            Fact("Task", task or "not known", detail=f"target {target.name}" if target else "no target"),
        ],
        sections=[
            _findings(findings),
            *([_target(target, task, reason)] if target and task else []),
            _columns(profiles, target),
            _source(manifest),
        ],
    )


def _status(findings: Sequence[Finding]) -> tuple[Tone, str, str]:
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    if errors:
        return "bad", "Refused", f"{_plural(errors, 'error')} to correct before anything can be trained."
    if warnings:
        return "warn", "Passed with warnings", f"{_plural(warnings, 'warning')} to look at."
    return "good", "Passed", "Nothing is wrong with the table."


def _plural(amount: int, noun: str) -> str:
    return f"{amount:,} {noun}{'s' * (amount != 1)}"


def _findings(findings: Sequence[Finding]) -> Section:
    if not findings:
        return Section("Findings", [Text("Every check passed.")])
    rows: list[list[CellValue]] = [
        [
            Cell(finding.severity, tone="bad" if finding.severity == "error" else "warn"),
            finding.column or "the table",
            finding.rule,
            finding.message[:1].upper() + finding.message[1:],
        ]
        for finding in findings
    ]
    return Section("Findings", [Table(["Result", "Column", "Check", "What was found"], rows)])


def _target(target: Profile, task: str, reason: str) -> Section:
    facts = Facts(
        [
            Fact("Column", target.name),
            Fact("Task", task, detail=reason),
            Fact("Rows with a value", count(target.rows - target.nulls)),
        ]
    )
    if task == "regression":
        return Section("Target", [facts])
    filled = max(target.rows - target.nulls, 1)
    rows: list[list[CellValue]] = [
        [name, rows_of_class, percent(rows_of_class / filled)]
        for name, rows_of_class in target.most_frequent(_MOST_CLASSES)
    ]
    more = f"; the {_MOST_CLASSES} largest are shown" if target.distinct > _MOST_CLASSES else ""
    caption = f"{target.distinct:,} classes{more}"
    return Section("Target", [facts, Table(["Class", "Rows", "Share"], rows, caption=caption, numeric=(1, 2))])


def _columns(profiles: Sequence[Profile], target: Profile | None) -> Section:
    headers = ["Column", "Type", "Missing", "Distinct", "Range", "Mean", "Most frequent, or spread"]
    rows = [_column(column, is_target=column is target) for column in profiles]
    return Section("Columns", [Table(headers, rows, numeric=(2, 3, 5))])


def _column(column: Profile, *, is_target: bool) -> list[CellValue]:
    name = Cell(column.name, strong=True, detail="target") if is_target else column.name
    missing = percent(column.nulls / column.rows) if column.nulls else "0"
    distinct = count(column.distinct) if column.is_simple else None
    mean = number(float(column.finite.mean())) if len(column.finite) else None
    return [name, str(column.type).partition("[")[0], missing, distinct, _range(column), mean, _shape(column)]


def _range(column: Profile) -> str | None:
    if len(column.finite):
        low, high = float(column.finite.min()), float(column.finite.max())
        if pa.types.is_integer(column.type):
            # No separators: the numbers may be years.
            return f"{low:.0f} to {high:.0f}"
        return f"{low:.6g} to {high:.6g}"
    if pa.types.is_timestamp(column.type) and column.distinct:
        extent = pc.min_max(column.dictionary).as_py()
        return f"{extent['min']:%Y-%m-%d} to {extent['max']:%Y-%m-%d}"
    return None


def _shape(column: Profile) -> CellValue:
    bins = column.histogram()
    if bins:
        bars = (_BARS[height * (len(_BARS) - 1) // max(bins)] for height in bins)
        return Cell("".join(bars), title="How the values spread from the lowest to the highest")
    if pa.types.is_timestamp(column.type) or column.distinct == 0:
        return None
    return ", ".join(f"{value[:24]} ({rows:,})" for value, rows in column.most_frequent(_TOP_VALUES))


def _source(manifest: Manifest) -> Section:
    facts = manifest.facts
    named = [("Source", "source"), ("Path", "path"), ("Revision", "revision")]
    shown = [Fact(label, str(facts[name])) for label, name in named if facts.get(name)]
    named = [("Commit", "commit"), ("Hash", "hash")]
    digests = [(label, str(facts[name])) for label, name in named if facts.get(name)]
    for label, value in [*digests, ("Digest", manifest.digest)]:
        shown.append(Fact(label, short(value.rpartition(":")[2]), title=value))
    shown.append(Fact("Files", count(len(manifest.files)), detail=size(facts.get("bytes", 0))))
    return Section("Source", [Facts(shown)], note="Where the bytes came from; each was checked.")
