"""Changes as text, JSON, and Markdown for pull requests."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from ropewalk.launch.compare.change import CLASSES, NEXT_VERSION, Change, heaviest
from ropewalk.launch.compare.files import Compared

MOST_MARKDOWN = 60_000
"""Characters of a comment; GitHub takes 65,536."""
_MARKS = {"breaking": "🔴", "behaviour": "🟡", "cosmetic": "⚪"}


def as_text(compared: Sequence[Compared]) -> list[str]:
    """Return lines for people."""
    lines = []
    for one in compared:
        for change in one.changes:
            lines.append(f"{one.name}: {change.weight}: {change.subject}: {change.what}{_values(change)}")
            lines += [f"    {line}" for line in change.detail.splitlines()]
    return [*lines, summary(compared)]


def as_json(compared: Sequence[Compared]) -> str:
    """Return all files and changes, and the part of the version that they count up ("" when nothing changed)."""
    changes = [change for one in compared for change in one.changes]
    content = {"next_version": NEXT_VERSION.get(heaviest(changes), ""), "files": [asdict(one) for one in compared]}
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_markdown(compared: Sequence[Compared]) -> str:
    """Return a comment for a pull request, at most MOST_MARKDOWN characters."""
    parts = ["### Compiled pipelines", "", summary(compared), ""]
    for one in (each for each in compared if each.changes):
        parts += [f"#### `{one.name}`", "", "| | what | change | before | after |", "|---|---|---|---|---|"]
        parts += [
            f"| {_MARKS[change.weight]} {change.weight} | {_cell(change.subject)} | {_cell(change.what)} "
            f"| {_code(change.before)} | {_code(change.after)} |"
            for change in one.changes
        ]
        parts.append("")
        for change in (each for each in one.changes if each.detail):
            parts += [f"<details><summary>{change.subject}: {change.what}</summary>", ""]
            parts += [_fenced(change.detail), "", "</details>", ""]
    return _cut(parts)


def summary(compared: Sequence[Compared]) -> str:
    """Return how many changes of each weight there are, and what they mean for the version."""
    changes = [change for one in compared for change in one.changes]
    if not changes:
        return "No difference in meaning."
    counts = [(weight, sum(change.weight == weight for change in changes)) for weight in CLASSES]
    told = ", ".join(f"{count} {weight}" for weight, count in counts if count)
    return f"{told}: this asks for a new {NEXT_VERSION[heaviest(changes)]} version."


def _values(change: Change) -> str:
    if change.detail or not (change.before or change.after):
        return ""
    if change.before and change.after:
        return f": {change.before} -> {change.after}"
    return f": {change.before or change.after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code(text: str) -> str:
    if not text:
        return ""
    ticks = "`" * (1 + max((len(run) for run in text.split() if set(run) == {"`"}), default=text.count("`")))
    return f"{ticks} {_cell(text)} {ticks}" if "`" in text else f"`{_cell(text)}`"


def _fenced(text: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}diff\n{text}\n{fence}"


def _cut(parts: Sequence[str]) -> str:
    text = "\n".join(parts)
    if len(text) <= MOST_MARKDOWN:
        return text
    # What is left out are whole lines from the end, and never the end of a block that stays open.
    shown = text[:MOST_MARKDOWN].rpartition("\n#### ")[0] or text[:MOST_MARKDOWN].rpartition("\n<details>")[0]
    return f"{shown or parts[0]}\n\nThe rest is too long for a comment: see `ropewalk diff`.\n"
