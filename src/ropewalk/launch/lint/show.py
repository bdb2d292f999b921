"""Findings as text, JSON, GitHub's annotations, and SARIF for code scanners."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ropewalk
from ropewalk.launch.lint.finding import ERROR, LEVELS, NOTE, WARNING, Finding

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def has_errors(findings: Sequence[Finding]) -> bool:
    """Return whether one of the findings is an error."""
    return any(finding.level == ERROR for finding in findings)


def has_warnings(findings: Sequence[Finding]) -> bool:
    """Return whether one of the findings is a warning."""
    return any(finding.level == WARNING for finding in findings)


def summary(findings: Sequence[Finding], *, files: int) -> str:
    """Return how many findings of each level there are in so many files."""
    counts = [sum(finding.level == level for finding in findings) for level in LEVELS]
    told = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for count, level in zip(counts, LEVELS, strict=True))
    return f"{files} file{'' if files == 1 else 's'}: {told}."


def as_text(findings: Sequence[Finding]) -> list[str]:
    """Return lines for people: place, level and rule, what is wrong, what to do."""
    return [
        line
        for finding in findings
        for line in (
            f"{finding.source}:{finding.line}: {finding.level} [{finding.rule}] {finding.message}",
            f"    {finding.place or 'the whole file'}",
            f"    To do: {finding.fix}",
        )
    ]


def as_json(findings: Sequence[Finding]) -> str:
    """Return a JSON list with all fields of each."""
    return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)


def as_github(findings: Sequence[Finding]) -> list[str]:
    """Return GitHub's workflow commands, which put each finding at its line in a pull request."""
    kinds = {level: "notice" if level == NOTE else level for level in LEVELS}
    return [
        f"::{kinds[finding.level]} file={_property(finding.source)},line={finding.line},title={finding.rule}::"
        f"{_data(f'{finding.message} {finding.fix}')}"
        for finding in findings
    ]


def as_sarif(findings: Sequence[Finding]) -> str:
    """Return a SARIF 2.1.0 log (OASIS, sarif-v2.1.0-os)."""
    rules = sorted({finding.rule for finding in findings})
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "ropewalk lint",
                "version": ropewalk.__version__,
                "rules": [{"id": rule} for rule in rules],
            }
        },
        "results": [
            {
                "ruleId": finding.rule,
                "ruleIndex": rules.index(finding.rule),
                "level": finding.level,
                "message": {"text": f"{finding.message} {finding.fix}"},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": Path(finding.source).as_posix()},
                            "region": {"startLine": finding.line},
                        },
                        "logicalLocations": [{"fullyQualifiedName": finding.place}],
                    }
                ],
            }
            for finding in findings
        ],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
