"""Rules about values: each looks at a batch of rows and says which of them break it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.data.tables import TableStream
from ropewalk.errors import nearest
from ropewalk.fingerprints import FingerprintSet, row_fingerprints
from ropewalk.validation.chunk import Chunk, Test, is_number, is_simple
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.findings import Finding, error, rows
from ropewalk.validation.profile import Profile

MOST_EXAMPLES = 5
"""Rows shown of those that break a rule."""

_EXAMPLES_IN_MESSAGE = 3


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Something that must hold in every row."""

    name: str
    """A word or two for it, such as "ranges"."""
    columns: tuple[str, ...]
    """The columns that it looks at."""
    demand: str
    """What must hold, for the page: "between 0 and 9"."""
    problem: str
    """What is wrong when it does not; {rows} and {examples} stand for what was found."""
    severity: Literal["error", "warning"] = "error"
    """Whether a broken rule stops the pipeline."""
    breaks: Callable[[Sequence[Chunk]], pa.BooleanArray | None] | None = field(default=None, repr=False)
    """Returns a mask of the rows that break it, None when there is none; None: no two rows may be equal."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A rule that does not hold."""

    rule: Rule
    rows: int
    """How many rows break it."""
    examples: tuple[str, ...]
    """The first of them: "-1 in row 7"."""
    about: bool = False
    """Whether the number of rows is an estimate."""

    def finding(self) -> Finding:
        """Return it as a finding."""
        counted = f"{'about ' * self.about}{rows(self.rows)}"
        examples = ", ".join(self.examples[:_EXAMPLES_IN_MESSAGE])
        message = self.rule.problem.replace("{rows}", counted).replace("{examples}", examples)
        return Finding(
            severity=self.rule.severity, rule=self.rule.name, column=", ".join(self.rule.columns), message=message
        )


class Ledger:
    """Counts the rows that break each of some rules, batch after batch."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Start with no rows."""
        self._rules = rules
        self._rows = [0] * len(rules)
        self._examples: list[list[str]] = [[] for _ in rules]
        self._seen = {place: FingerprintSet() for place, rule in enumerate(rules) if rule.breaks is None}

    def add(self, chunks: Mapping[str, Chunk]) -> None:
        """Look at the next rows."""
        for place, rule in enumerate(self._rules):
            cells = [chunks[name] for name in rule.columns]
            if rule.breaks is None:
                self._seen[place].add(row_fingerprints(cells))
                continue
            mask = rule.breaks(cells)
            if mask is not None:
                self._rows[place] += mask.true_count
                self._examples[place] += _show(cells, mask, MOST_EXAMPLES - len(self._examples[place]))

    def broken(self, table: TableStream) -> list[Broken]:
        """Return the rules that some row breaks, in their order; `table` is read again for rows that are equal."""
        return [found for place in range(len(self._rules)) if (found := self._result(place, table))]

    def _result(self, place: int, table: TableStream) -> Broken | None:
        rule = self._rules[place]
        if rule.breaks is not None:
            examples = tuple(self._examples[place])
            return Broken(rule=rule, rows=self._rows[place], examples=examples) if self._rows[place] else None
        seen = self._seen[place]
        shared = seen.shared()
        if len(shared) == 0:
            return None
        examples = tuple(_look_up(table, rule.columns, [int(row) for row in shared[:MOST_EXAMPLES]]))
        return Broken(rule=rule, rows=len(shared) * seen.one_in, examples=examples, about=seen.one_in > 1)


def _show(cells: Sequence[Chunk], mask: pa.BooleanArray, most: int) -> Iterator[str]:
    for place in np.flatnonzero(mask.to_numpy(zero_copy_only=False))[:most]:
        values = ", ".join(_shown(chunk.values[int(place)]) for chunk in cells)
        yield f"{values} in row {cells[0].first_row + int(place):,}"


def _shown(value: pa.Scalar) -> str:
    plain = value.as_py()
    return "nothing" if plain is None else str(plain) if pa.types.is_timestamp(value.type) else repr(plain)


def _look_up(table: TableStream, columns: Sequence[str], numbers: Sequence[int]) -> Iterator[str]:
    """Yield the values in rows of these ascending numbers (from 1), in words."""
    first, wanted = 1, list(numbers)
    for batch in table.batches():
        while wanted and wanted[0] < first + batch.num_rows:
            number = wanted.pop(0)
            values = ", ".join(_shown(batch.column(name)[number - first]) for name in columns)
            yield f"{values} in row {number:,}"
        if not wanted:
            return
        first += batch.num_rows


def cells(test: Test) -> Callable[[Sequence[Chunk]], pa.BooleanArray | None]:
    """Return what finds the rows in which the value of a rule's only column is one for which `test` holds."""
    return lambda chunks: chunks[0].where(test)


def outside(low: Any, high: Any, *, low_allowed: bool = True, high_allowed: bool = True) -> Callable[..., Any]:
    """Return what finds the rows whose number or time lies outside `low` to `high`; None is no bound."""
    below, above = (pc.less if low_allowed else pc.less_equal), (pc.greater if high_allowed else pc.greater_equal)

    def breaks(chunks: Sequence[Chunk]) -> pa.BooleanArray | None:
        (chunk,) = chunks
        lowest, highest = chunk.span
        if lowest is None:
            return None
        too_low = low is not None and (lowest < low or (lowest == low and not low_allowed))
        too_high = high is not None and (highest > high or (highest == high and not high_allowed))
        if not (too_low or too_high):
            return None
        tests = [below(chunk.values, low)] * too_low + [above(chunk.values, high)] * too_high
        return (tests[0] if len(tests) == 1 else pc.or_(*tests)).fill_null(fill_value=False)

    return breaks


def missing(chunks: Sequence[Chunk]) -> pa.BooleanArray | None:
    """Find the rows without a value."""
    values = chunks[0].values
    return values.is_null() if values.null_count else None


def among(kind: pa.DataType, values: Sequence[Any]) -> Test:
    """Return what says of cells of type `kind` whether they are one of `values`; numbers equal numbers."""
    if is_number(kind):
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        whole = pa.types.is_integer(kind) and all(isinstance(value, int) for value in values)
        known = pa.array(list(values), kind) if whole else pa.array(numbers, pa.float64())
        return lambda found: pc.is_in(found.cast(known.type, safe=False), value_set=known, skip_nulls=True)
    fitting = pa.array([scalar for value in values if (scalar := _as(kind, value)) is not None], kind)
    return lambda found: pc.is_in(found, value_set=fitting, skip_nulls=True)


def _as(kind: pa.DataType, value: Any) -> Any:
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, TypeError, ValueError):
        return None


def present_and(test: Test, *, holds: bool) -> Test:
    """Return what says whether a cell has a value and `test` of it gives `holds`."""

    def both(found: pa.Array) -> pa.BooleanArray:
        answer = test(found) if holds else pc.invert(test(found))
        return pc.and_(answer, found.is_valid()) if found.null_count else answer

    return both


def rules_of_settings(schema: pa.Schema, config: ValidationConfig) -> list[Rule]:
    """Return the rules of the settings about columns that are there, and whose type they fit."""
    ruled = {*config.required, *config.unique, *config.ranges, *config.allowed} & set(schema.names)
    simple = [name for name in sorted(ruled) if is_simple(schema.field(name).type)]
    return [rule for name in simple for rule in _rules_of_column(name, schema.field(name).type, config)]


def _rules_of_column(name: str, kind: pa.DataType, config: ValidationConfig) -> Iterator[Rule]:
    if name in config.ranges and not is_number(kind):
        return
    subject, columns = f"the column {name!r}", (name,)
    if name in config.allowed:
        yield Rule(
            name="allowed",
            columns=columns,
            demand=_listed(config.allowed[name]),
            problem=f"{subject} has values that are not allowed in {{rows}}: {{examples}}.",
            breaks=cells(present_and(among(kind, config.allowed[name]), holds=False)),
        )
    if name in config.unique:
        yield Rule(
            name="unique",
            columns=columns,
            demand="every value once",
            problem=f"{subject} must be unique, but {{rows}} share a value: {{examples}}.",
        )
    if name in config.required:
        yield Rule(
            name="required",
            columns=columns,
            demand="no value missing",
            problem=f"{subject} is required, but missing in {{rows}}.",
            breaks=missing,
        )
    if name in config.ranges:
        low, high = config.ranges[name]
        yield Rule(
            name="ranges",
            columns=columns,
            demand=f"{low:g} to {high:g}",
            problem=f"{subject} leaves its range {low:g} to {high:g} in {{rows}}: {{examples}}.",
            breaks=outside(low, high),
        )


def _listed(values: Sequence[Any]) -> str:
    return "one of " + ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")


def check_settings(profiles: Mapping[str, Profile], config: ValidationConfig) -> Iterator[Finding]:
    """Yield an error for each rule of `config` about no column, or one of another type, and for missing values."""
    for setting in ("required", "unique", "ranges", "allowed", "allow_mixed"):
        for name in getattr(config, setting):
            if name not in profiles:
                hint = nearest(name, profiles)
                yield error(setting, "", f"validation.{setting} names {name!r}, but there is no such column.{hint}")
    yield from _check_null_shares(profiles, config)
    for name in config.ranges:
        column = profiles.get(name)
        if column and column.is_simple and not column.is_numeric:
            yield error(
                "ranges",
                name,
                f"validation.ranges names {name!r}, but its type is {column.type}: only numbers have one.",
            )


def _check_null_shares(profiles: Mapping[str, Profile], config: ValidationConfig) -> Iterator[Finding]:
    for name, column in profiles.items():
        share = column.nulls / column.rows
        if share > config.max_null_share:
            yield error(
                "max_null_share",
                name,
                f"the column {name!r} is missing in {share:.1%} of the rows, more than validation.max_null_share = "
                f"{config.max_null_share:.1%}. Fill it, remove it, or raise the limit.",
            )
