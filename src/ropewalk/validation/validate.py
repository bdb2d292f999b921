"""Validates a raw table: every error is found and reported at once, before anything is trained."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ropewalk.artifacts import RAW_DATA, read_artifact
from ropewalk.data.tables import open_table
from ropewalk.errors import ConfigError, DataError, nearest
from ropewalk.progress import say
from ropewalk.report.page import write_page
from ropewalk.validation.columns import check_columns
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.drift import check_drift, compare
from ropewalk.validation.findings import Finding
from ropewalk.validation.leaks import check_duplicates, check_leaks
from ropewalk.validation.page import render
from ropewalk.validation.profile import Profile
from ropewalk.validation.rules import Rule, check_settings, rules_of_settings
from ropewalk.validation.scan import Scan, scan_table
from ropewalk.validation.schema import find_schema
from ropewalk.validation.schema_rules import check_schema, rules_of_schema
from ropewalk.validation.target import TASKS, check_target, find_target, infer_task


@dataclass(frozen=True, kw_only=True)
class Validated:
    """What is known of a table that can be trained on."""

    target: str
    """The column to predict."""
    task: str
    """ "binary", "multiclass" or "regression"."""
    rows: int
    """Rows of the table, with and without a target."""
    columns: int
    """Columns of the table, the target included."""
    warnings: tuple[str, ...]
    """What a person should know of."""


def validate(
    data: Path,
    *,
    report: Path,
    target: str = "",
    task: str = "auto",
    config: ValidationConfig = ValidationConfig(),
    reference: Path | None = None,
) -> Validated:
    """Check that the table can be trained on, write the report page, and return target and task.

    Args:
        data: Raw-data artifact.
        report: HTML file to write, also when the data are refused.
        target: Column to predict; empty takes the target that the artifact names.
        task: "auto" has the target's values decide: two distinct ones make it binary, other text multiclass, whole
            numbers multiclass up to 20 distinct ones, all other numbers regression.
        config: Rules that the table must meet. A schema beside the data (schema.yaml, or a name that ends in
            .schema.yaml) is enforced too, unless the settings have one.
        reference: Raw-data artifact of an earlier version, to compare distributions with; one without files is none.

    Raises:
        ConfigError: There is no such task, or the schema asks for something that is not known.
        DataError: Lists everything that is wrong with the table.
        ArtifactError: The artifact is unfinished or its bytes have changed.
    """
    if task not in TASKS:
        raise ConfigError(f"task={task!r}: need one of {', '.join(TASKS)}.{nearest(task, TASKS)}")
    manifest = read_artifact(data, RAW_DATA)
    table = open_table(data)
    schema = find_schema(data, config.schema)
    demands = [_judged(rule, config) for rule in (rules_of_schema(schema, table.schema) if schema else ())]
    rules = [_judged(rule, config) for rule in rules_of_settings(table.schema, config)]
    scan = scan_table(table, [*rules, *demands])
    profiles = scan.profiles
    origin = read_artifact(reference, RAW_DATA) if reference else None
    before = scan_table(open_table(reference)).profiles if reference and origin and origin.files else {}
    shifts = compare(profiles, before)
    target = target or str(manifest.facts.get("target", ""))
    found, reason = _task(profiles.get(target), task)
    found_wrong = [
        *_check(scan, target, found, config),
        *(check_schema(schema, profiles) if schema else ()),
        *(check_drift(profiles, before, shifts, config) if before else ()),
    ]
    judged = [
        replace(finding, severity=config.severity_of(finding.rule, finding.column, finding.severity))
        for finding in found_wrong
    ]
    findings = sorted(judged, key=lambda finding: finding.severity)
    html = render(
        manifest=manifest,
        profiles=list(profiles.values()),
        findings=findings,
        target=profiles.get(target),
        task=found,
        reason=reason,
        demands=demands,
        broken=scan.broken,
        shifts=shifts,
        reference=origin,
        config=config,
    )
    write_page(report, html)
    warnings = tuple(finding.message for finding in findings if finding.severity == "warning")
    say(f"{table.rows:,} rows, {len(profiles):,} columns.")
    if found and target in profiles:
        say(f"Task {found} for the target {target!r}: {reason}.")
    for text in warnings:
        say(f"Warning: {text}")
    errors = [finding.message for finding in findings if finding.severity == "error"]
    if errors:
        raise DataError("The data cannot be used:\n  - " + "\n  - ".join(errors))
    return Validated(target=target, task=found, rows=table.rows, columns=len(profiles), warnings=warnings)


def _judged(rule: Rule, config: ValidationConfig) -> Rule:
    return replace(rule, severity=config.severity_of(rule.name, ", ".join(rule.columns), rule.severity))


def _task(target: Profile | None, task: str) -> tuple[str, str]:
    """Return the task and why; "" when there is nothing to infer it from."""
    if task != "auto":
        return task, "as asked"
    if target is None or target.distinct < 2:
        return "", ""
    return infer_task(target)


def _check(scan: Scan, target: str, task: str, config: ValidationConfig) -> Iterator[Finding]:
    profiles = scan.profiles
    columns = list(profiles.values())
    missing = find_target(target, list(profiles))
    if missing:
        yield missing
    else:
        yield from check_target(profiles[target], task, min_rows=config.min_rows)
    yield from check_columns(columns, target=target, allow_mixed=config.allow_mixed)
    yield from check_settings(profiles, config)
    yield from (broken.finding() for broken in scan.broken)
    if not missing and task:
        features = [column for column in columns if column.name != target]
        yield from check_leaks(features, profiles[target], task)
    if scan.fingerprints:
        yield from check_duplicates(scan.fingerprints)
