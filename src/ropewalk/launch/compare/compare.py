"""The changes from one compiled pipeline to another."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ropewalk.launch.compare.change import BEHAVIOUR, CLASSES, COSMETIC, Change
from ropewalk.launch.compare.code import same_work
from ropewalk.launch.compare.facts import COMPONENT, STEP, TASK, Fact, Subject, facts_of
from ropewalk.launch.lint.document import Document

_LONGEST = 120
"""Characters of a value that are shown."""
_DETAIL_LINES = 60
"""Lines of a unified diff that are shown."""
_CHANNEL = "pipelinechannel--"
"""How KFP names what it hands through groups; it comes and goes with the inputs of the tasks inside, which are told."""
Subjects = Mapping[tuple[str, str], Subject]


def compare_texts(before: str, after: str, *, sources: tuple[str, str] = ("A", "B")) -> list[Change]:
    """Return the changes from the compiled YAML `before` to `after`, the heaviest first; [] when they mean the same.

    Raises:
        ConfigError: One of them is not a compiled KFP pipeline or component.
    """
    old, new = (facts_of(Document(text, source=source)) for text, source in zip((before, after), sources, strict=True))
    moved = dict(_moves(old, new))
    renamed_to = set(moved.values())
    changes = [change for key, target in moved.items() for change in _moved(old[key], new[target])]
    for key in old.keys() | new.keys():
        if key in moved or key in renamed_to:
            continue
        if key in old and key in new:
            changes += _changed(old[key], new[key])
        elif not _told_elsewhere(key, old, new):
            changes.append(_came(new[key]) if key in new else _went(old[key]))
    steps = sum(kind == STEP for kind, _ in new)
    return sorted(
        _grouped(changes, steps=steps), key=lambda change: (CLASSES.index(change.weight), change.subject, change.what)
    )


def _grouped(changes: list[Change], *, steps: int) -> Iterator[Change]:
    """Yield the changes, those that are the same for several subjects of a kind in one: "steps a, b", "every step"."""
    alike: dict[tuple[str, ...], list[Change]] = {}
    for change in sorted(changes, key=lambda one: one.subject):
        kind = change.subject.partition(" ")[0]
        alike.setdefault((kind, change.weight, change.what, change.before, change.after, change.detail), []).append(
            change
        )
    for (kind, *_), group in alike.items():
        names = [one.subject.partition(" ")[2] for one in group]
        together = "every step" if kind == STEP and len(names) == steps else f"{kind}s {', '.join(names)}"
        yield group[0] if len(group) == 1 else replace(group[0], subject=together)


def _moves(old: Subjects, new: Subjects) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Yield old and new key of tasks that went to another graph or name, and are the same otherwise."""
    gone = [key for key in old if key[0] == TASK and key not in new]
    come = [key for key in new if key[0] == TASK and key not in old]
    for key in gone:
        same = [each for each in come if _unnamed(old[key]) == _unnamed(new[each])]
        here = next((each for each in same if _leaf(each) == _leaf(key)), None) or next(iter(same), None)
        if here is not None:
            come.remove(here)
            yield key, here


def _moved(old: Subject, new: Subject) -> Iterator[Change]:
    same_name = _leaf(old.key) == _leaf(new.key)
    yield Change(
        # KFP numbers its groups: one more condition before it, and a task is in another one.
        weight=COSMETIC if same_name else BEHAVIOUR,
        subject=f"task {old.name}",
        what="moved" if same_name else "renamed",
        before=old.name,
        after=new.name,
    )


def _told_elsewhere(key: tuple[str, str], old: Subjects, new: Subjects) -> bool:
    """Return whether a step or component comes or goes with a task that uses it, which is told already."""
    kind, name = key
    if kind not in (STEP, COMPONENT):
        return False
    here, there = (new, old) if key in new else (old, new)
    users = {k for k, one in here.items() if k[0] == TASK and one.facts["component"].value == name}
    return kind == COMPONENT or bool(users - there.keys())


def _changed(old: Subject, new: Subject) -> Iterator[Change]:
    for name in sorted(old.facts.keys() | new.facts.keys()):
        before, after = old.facts.get(name), new.facts.get(name)
        if _CHANNEL in name and (before is None or after is None):
            continue
        if before is None or after is None or _shown(before.value) != _shown(after.value):
            yield _change(new, name, before, after)


def _change(subject: Subject, name: str, before: Fact | None, after: Fact | None) -> Change:
    fact = after or before
    assert fact is not None
    weight = fact.weight
    if name == "code" and before and after and same_work(before.value, after.value):
        weight = COSMETIC
    verb = "changed" if before and after else "added" if after else "removed"
    texts = ["" if one is None else _shown(one.value) for one in (before, after)]
    long = any(len(text) > _LONGEST for text in texts)
    return Change(
        weight=weight,
        subject=f"{subject.kind} {subject.name}",
        what=f"{name} {verb}",
        before=_short(texts[0]),
        after=_short(texts[1]),
        detail=_detail(before, after) if long else "",
    )


def _came(subject: Subject) -> Change:
    return Change(weight=subject.added, subject=f"{subject.kind} {subject.name}", what="added", after=_summary(subject))


def _went(subject: Subject) -> Change:
    return Change(
        weight=subject.removed, subject=f"{subject.kind} {subject.name}", what="removed", before=_summary(subject)
    )


def _summary(subject: Subject) -> str:
    shown = {
        name: subject.facts[name].value
        for name in ("type", "default", "required", "component", "image")
        if name in subject.facts
    }
    return _short(", ".join(f"{name} {_shown(value)}" for name, value in shown.items() if value is not None))


def _unnamed(subject: Subject) -> dict[str, Any]:
    return {name: fact.value for name, fact in subject.facts.items() if name != "shown name"}


def _leaf(key: tuple[str, str]) -> str:
    return key[1].rpartition("/")[2]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def _detail(before: Fact | None, after: Fact | None) -> str:
    old, new = (_lines(one.value) if one else [] for one in (before, after))
    lines = list(difflib.unified_diff(old, new, n=1, lineterm=""))[2:]
    more = [f"... {len(lines) - _DETAIL_LINES} lines more"] if len(lines) > _DETAIL_LINES else []
    return "\n".join(lines[:_DETAIL_LINES] + more)


def _lines(value: Any) -> list[str]:
    """Return a value line by line: the parts of a command are texts of many lines themselves."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return [line for part in value for line in part.splitlines()]
    return (
        _shown(value).splitlines()
        if isinstance(value, str)
        else json.dumps(value, indent=1, sort_keys=True).splitlines()
    )
