"""The validation report: verdict, findings, target and every column on one page."""

from collections.abc import Sequence

import pyarrow as pa

from ropewalk.artifacts import Manifest
from ropewalk.report.blocks import Cell, CellValue, Fact, Facts, Plot, Plots, Section, Table, Text, Tone
from ropewalk.report.format import count, number, percent, short, size
from ropewalk.report.page import render_page
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.drift import Shift
from ropewalk.validation.findings import Finding
from ropewalk.validation.profile import Profile
from ropewalk.validation.rules import Broken, Rule

_TONES: dict[str, Tone] = {"error": "bad", "warning": "warn"}
_BARS = "▁▂▃▄▅▆▇█"
_MOST_CLASSES = 12
_TOP_VALUES = 3
_MOST_PLOTS = 12
_LONGEST_EXAMPLE = 80


def render(
    *,
    manifest: Manifest,
    profiles: Sequence[Profile],
    findings: Sequence[Finding],
    target: Profile | None,
    task: str,
    reason: str,
    demands: Sequence[Rule] = (),
    broken: Sequence[Broken] = (),
    shifts: Sequence[Shift] = (),
    reference: Manifest | None = None,
    config: ValidationConfig = ValidationConfig(),
) -> str:
    """Return the page as HTML: what was found, what the target is, and what each column holds.

    Args:
        manifest: That of the raw data.
        profiles: Every column.
        findings: What is wrong or odd.
        target: The column to predict, if it is there.
        task: The task, "" when it is not known.
        reason: Why it is this task.
        demands: Rules of the schema.
        broken: Rules, of the schema or the settings, that some row breaks.
        shifts: How columns differ from the reference.
        reference: Manifest of the reference.
        config: The settings, which say from where on a difference is told.
    """
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
            *([_examples(broken)] if broken else []),
            *([_schema(demands, broken)] if demands else []),
            *([_reference(shifts, findings, reference, config)] if shifts else []),
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
    # What was found comes second: a phone shows no more than two columns at once.
    rows: list[list[CellValue]] = [
        [
            Cell(finding.severity, tone=_TONES[finding.severity]),
            finding.message[:1].upper() + finding.message[1:],
            finding.column or "the table",
            finding.rule,
        ]
        for finding in findings
    ]
    return Section("Findings", [Table(["Result", "What was found", "Column", "Check"], rows)])


def _examples(broken: Sequence[Broken]) -> Section:
    rows: list[list[CellValue]] = [
        [
            ", ".join(found.rule.columns),
            Cell(found.rule.name, tone=_TONES[found.rule.severity]),
            found.rule.demand,
            f"{'about ' * found.about}{count(found.rows)}",
            "; ".join(example[:_LONGEST_EXAMPLE] for example in found.examples),
        ]
        for found in broken
    ]
    headers = ["Column", "Rule", "What must hold", "Rows that break it", "The first of them"]
    return Section("Broken rules", [Table(headers, rows, numeric=(3,))], note="Row 1 follows the column names.")


def _schema(demands: Sequence[Rule], broken: Sequence[Broken]) -> Section:
    rows_of = {id(found.rule): found.rows for found in broken}
    rows: list[list[CellValue]] = [
        [
            ", ".join(rule.columns),
            rule.name.removeprefix("schema: "),
            rule.demand,
            _verdict(rule, rows_of.get(id(rule), 0)),
        ]
        for rule in demands
    ]
    return Section("Schema", [Table(["Column", "Rule", "What must hold", "Result"], rows)])


def _verdict(rule: Rule, rows: int) -> Cell:
    if not rows:
        return Cell("holds", tone="good")
    return Cell(f"broken in {count(rows)}", tone=_TONES[rule.severity])


def _reference(
    shifts: Sequence[Shift], findings: Sequence[Finding], reference: Manifest | None, config: ValidationConfig
) -> Section:
    told = {(finding.rule, finding.column): _TONES[finding.severity] for finding in findings}
    ordered = sorted(shifts, key=lambda shift: (-(shift.psi or 0), -(shift.ks or 0)))
    rows: list[list[CellValue]] = [
        [
            shift.now.name,
            Cell(_missing(shift), tone=told.get(("drift: missing", shift.now.name))),
            _means(shift),
            _categories(shift, told.get(("drift: new", shift.now.name), told.get(("drift: vanished", shift.now.name)))),
            None if shift.psi is None else Cell(f"{shift.psi:.3f}", tone=told.get(("drift: psi", shift.now.name))),
            None if shift.ks is None else Cell(f"{shift.ks:.3f}", tone=told.get(("drift: ks", shift.now.name))),
        ]
        for shift in ordered
    ]
    headers = ["Column", "Missing", "Mean ± deviation", "Categories", "PSI", "KS distance"]
    drawn = [shift for shift in ordered if shift.psi is not None][:_MOST_PLOTS]
    sampled = max(shift.now.rows for shift in shifts) > max(len(shift.now.values) for shift in shifts)
    note = (
        f"{_version(reference)} → now. PSI is the population stability index over ten equal parts of the reference. "
        f"Told are a PSI above {config.psi_warning:g} (refused above {config.psi_error:g}), a Kolmogorov-Smirnov "
        f"distance above {config.ks_warning:g}, a share of missing values that changes by more than "
        f"{percent(config.null_share_change)}, and new and vanished categories."
    )
    if sampled:
        rows_used = count(len(shifts[0].now.values))
        note += f" Distributions of numbers are those of {rows_used} rows spread evenly over the table."
    return Section("Against the reference", [Table(headers, rows, numeric=(4, 5)), *_plots(drawn)], note=note)


def _version(reference: Manifest | None) -> str:
    facts = reference.facts if reference else {}
    revision, commit = str(facts.get("revision") or ""), str(facts.get("commit") or "")[:12]
    named = " at ".join(filter(None, [revision, commit]))
    return f"Reference ({named})" if named else "Reference"


def _missing(shift: Shift) -> str:
    return " → ".join(percent(side.nulls / side.rows) for side in (shift.before, shift.now))


def _categories(shift: Shift, tone: Tone | None) -> Cell | None:
    if not (shift.new or shift.vanished):
        return None
    return Cell(f"{len(shift.new):,} new, {len(shift.vanished):,} gone", tone=tone)


def _means(shift: Shift) -> str | None:
    before, now = shift.before, shift.now
    if now.mean is None or before.mean is None or now.deviation is None or before.deviation is None:
        return None
    return " → ".join(
        f"{number(mean)} ± {number(spread)}"
        for mean, spread in ((before.mean, before.deviation), (now.mean, now.deviation))
    )


def _plots(shifts: Sequence[Shift]) -> list[Plots]:
    if not shifts:
        return []
    # Matplotlib takes half a second to load, which only a comparison pays.
    from ropewalk.validation.drift_plots import draw_shift

    caption = "Grey: the reference. Blue: now."
    return [Plots([Plot(draw_shift(shift), caption, title=shift.now.name) for shift in shifts])]


def _target(target: Profile, task: str, reason: str) -> Section:
    facts = Facts(
        [
            Fact("Column", target.name),
            Fact("Task", task, detail=reason),
            Fact("Rows with a value", count(target.filled)),
        ]
    )
    if task == "regression":
        return Section("Target", [facts])
    filled = max(target.filled, 1)
    rows: list[list[CellValue]] = [
        [name, rows_of_class, percent(rows_of_class / filled)]
        for name, rows_of_class in target.most_frequent(_MOST_CLASSES)
    ]
    more = f"; the {_MOST_CLASSES} largest are shown" if target.distinct > _MOST_CLASSES else ""
    caption = f"{target.distinct_text} classes{more}"
    return Section("Target", [facts, Table(["Class", "Rows", "Share"], rows, caption=caption, numeric=(1, 2))])


def _columns(profiles: Sequence[Profile], target: Profile | None) -> Section:
    headers = ["Column", "Type", "Missing", "Distinct", "Range", "Mean", "Most frequent, or spread"]
    rows = [_column(column, is_target=column is target) for column in profiles]
    return Section("Columns", [Table(headers, rows, numeric=(2, 3, 5))])


def _column(column: Profile, *, is_target: bool) -> list[CellValue]:
    name = Cell(column.name, strong=True, detail="target") if is_target else column.name
    missing = percent(column.nulls / column.rows) if column.nulls else "0"
    distinct = column.distinct_text if column.is_simple else None
    mean = None if column.mean is None else number(column.mean)
    return [name, str(column.type).partition("[")[0], missing, distinct, _range(column), mean, _shape(column)]


def _range(column: Profile) -> str | None:
    if column.low is None:
        return None
    if pa.types.is_timestamp(column.type):
        return f"{column.low:%Y-%m-%d} to {column.high:%Y-%m-%d}"
    # No separators: the numbers may be years.
    spec = ".0f" if pa.types.is_integer(column.type) else ".6g"
    return f"{column.low:{spec}} to {column.high:{spec}}"


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
