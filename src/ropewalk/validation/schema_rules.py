"""What a schema demands of a table, as rules that are checked batch by batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.errors import ConfigError, nearest
from ropewalk.validation.chunk import Chunk, Test, is_number, is_simple, is_text
from ropewalk.validation.findings import Finding, error, warning
from ropewalk.validation.profile import Profile
from ropewalk.validation.rules import Rule, among, cells, missing, outside, present_and
from ropewalk.validation.schema import TableSchema

_COMPARE = {
    "<": pc.less,
    "<=": pc.less_equal,
    "==": pc.equal,
    "!=": pc.not_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_BOUNDS = {
    "greater_than": ("min_value", ">"),
    "greater_than_or_equal_to": ("min_value", "at least"),
    "less_than": ("max_value", "<"),
    "less_than_or_equal_to": ("max_value", "at most"),
}
_ADVICE = "Correct the data, or the schema if it is wrong."


class _Check(NamedTuple):
    name: str
    values: dict[str, Any]
    warns: bool


def rules_of_schema(schema: TableSchema, table: pa.Schema) -> list[Rule]:
    """Return the rules about values in columns that the table has, and whose type is as the schema wants it.

    Raises:
        ConfigError: A check has a value of a wrong type, or does not fit the type of its column.
    """
    return list(_rules(schema, table))


def _rules(schema: TableSchema, table: pa.Schema) -> Iterator[Rule]:
    for name, column in schema.schema.columns.items():
        if name in table.names and is_simple(table.field(name).type):
            yield from _rules_of_column(schema, column, name, table.field(name).type)
    together = schema.schema.unique or []
    names = [together] if isinstance(together, str) else together
    if names and all(name in table.names for name in names):
        yield _rule(schema, "unique", tuple(names), "every combination once")
    for check in _checks(schema.schema):
        left, op, right = (check.values[part] for part in ("left", "op", "right"))
        if left in table.names and right in table.names:
            _check_comparison(schema.place, table, left, op, right)
            breaks = _compare(op)
            yield _rule(schema, check.name, (left, right), f"{left} {op} {right}", warns=check.warns, breaks=breaks)


def _rules_of_column(schema: TableSchema, column: Any, name: str, kind: pa.DataType) -> Iterator[Rule]:
    if not column.nullable:
        yield _rule(schema, "nullable", (name,), "no value missing", breaks=missing)
    if column.unique:
        yield _rule(schema, "unique", (name,), "every value once")
    for check in _checks(column):
        if check.name != "max_null_share" and fits(column.dtype, kind):
            demand, breaks = _column_check(schema.place, name, kind, check)
            yield _rule(schema, check.name, (name,), demand, warns=check.warns, breaks=breaks)


def _rule(
    schema: TableSchema,
    name: str,
    columns: tuple[str, ...],
    demand: str,
    *,
    warns: bool = False,
    breaks: Callable[[Sequence[Chunk]], pa.BooleanArray | None] | None = None,
) -> Rule:
    subject = f"the column {columns[0]!r}" if len(columns) == 1 else f"the columns {' and '.join(map(repr, columns))}"
    verb = "breaks" if len(columns) == 1 else "break"
    return Rule(
        name=f"schema: {name}",
        columns=columns,
        demand=demand,
        problem=f"{subject} {verb} the schema {schema.place} ({demand}) in {{rows}}: {{examples}}. {_ADVICE}",
        severity="warning" if warns else "error",
        breaks=breaks,
    )


def _checks(part: Any) -> list[_Check]:
    return [_Check(check.name, dict(check.statistics or {}), bool(check.raise_warning)) for check in part.checks]


def fits(wanted: Any, kind: pa.DataType) -> bool:
    """Say whether a column of Arrow type `kind` is what pandera's type `wanted` asks for; None asks for nothing.

    Whole numbers fit a column of fractions. Sizes and units do not matter: int64 is int32, str is object.
    """
    if wanted is None:
        return True
    name = str(wanted).lower()
    if name.startswith(("int", "uint")):
        return bool(pa.types.is_integer(kind))
    if name.startswith(("float", "double", "decimal")):
        return is_number(kind)
    if name.startswith("bool"):
        return bool(pa.types.is_boolean(kind))
    if name.startswith(("datetime", "timestamp", "date")):
        return bool(pa.types.is_timestamp(kind)) and ("utc" in name) == bool(kind.tz)
    return name.startswith(("str", "object", "category", "<class 'str'>")) and is_text(kind)


def _column_check(
    place: str, column: str, kind: pa.DataType, check: _Check
) -> tuple[str, Callable[[Sequence[Chunk]], pa.BooleanArray | None]]:
    """Return what a check demands in words, and what finds the rows that break it."""
    where, values = f"The schema {place}, columns.{column}: {check.name}", check.values
    if check.name == "in_range":
        low, high = [_bound(where, kind, values[end]) for end in ("min_value", "max_value")]
        open_low, open_high = not values["include_min"], not values["include_max"]
        demand = f"{'above ' * open_low}{low} to {'below ' * open_high}{high}"
        return demand, outside(low, high, low_allowed=not open_low, high_allowed=not open_high)
    if check.name in _BOUNDS:
        key, words = _BOUNDS[check.name]
        bound = _bound(where, kind, values[key])
        allowed = words.startswith("at")
        ends = (bound, None) if key == "min_value" else (None, bound)
        return f"{words} {bound}", outside(*ends, low_allowed=allowed, high_allowed=allowed)
    if check.name in ("isin", "notin", "equal_to", "not_equal_to"):
        return _membership(where, kind, check)
    if not is_text(kind):
        raise ConfigError(f"{where} is a check of text, but the column's type is {kind}. Remove it.")
    demand, test = _text_check(where, check)
    return demand, cells(present_and(test, holds=False))


def _membership(
    where: str, kind: pa.DataType, check: _Check
) -> tuple[str, Callable[[Sequence[Chunk]], pa.BooleanArray | None]]:
    (given,) = check.values.values()
    many = check.name in ("isin", "notin")
    listed = list(given) if many else [given]
    values = [_moment(where, value, kind) for value in listed] if pa.types.is_timestamp(kind) else listed
    inside = check.name in ("isin", "equal_to")
    shown = ", ".join(str(value) for value in listed[:8]) + ", ..." * (len(listed) > 8)
    words = {"isin": "one of", "notin": "none of", "equal_to": "equal to", "not_equal_to": "other than"}
    return f"{words[check.name]} {shown}", cells(present_and(among(kind, values), holds=not inside))


def _text_check(where: str, check: _Check) -> tuple[str, Test]:
    values = check.values
    if check.name == "str_length":
        return _length_check(values)
    (given,) = values.values()
    text = str(given)
    if check.name == "str_startswith":
        return f"begins with {text!r}", lambda found: pc.starts_with(found, text)
    if check.name == "str_endswith":
        return f"ends with {text!r}", lambda found: pc.ends_with(found, text)
    pattern = f"^(?:{text})" if check.name == "str_matches" else text
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as problem:
        raise ConfigError(f"{where}: {text!r} is not a pattern of RE2 ({problem}). Rewrite it.") from problem
    words = "matches" if check.name == "str_matches" else "contains"
    return f"{words} {text}", lambda found: pc.match_substring_regex(found, pattern)


def _length_check(values: Mapping[str, Any]) -> tuple[str, Test]:
    exact = values.get("exact_value")
    low = exact if exact is not None else values.get("min_value")
    high = exact if exact is not None else values.get("max_value")
    low, high = 0 if low is None else int(low), 2**31 - 1 if high is None else int(high)

    def test(found: pa.Array) -> pa.BooleanArray:
        lengths = pc.utf8_length(found)
        return pc.and_(pc.greater_equal(lengths, low), pc.less_equal(lengths, high))

    return f"{low} to {'any number of' if high == 2**31 - 1 else high} characters", test


def _bound(where: str, kind: pa.DataType, value: Any) -> Any:
    if pa.types.is_timestamp(kind):
        return _moment(where, value, kind)
    if not is_number(kind):
        raise ConfigError(f"{where} compares numbers or times, but the column's type is {kind}. Remove it.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: need a number, found {value!r}.")
    return value


def _moment(where: str, value: Any, kind: pa.DataType) -> datetime:
    try:
        moment = datetime.fromisoformat(value.isoformat() if isinstance(value, date) else value)
    except (TypeError, ValueError) as problem:
        raise ConfigError(f"{where}: need a time such as '2024-01-31 12:00:00', found {value!r}.") from problem
    if kind.tz:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return moment.replace(tzinfo=None)


def _check_comparison(place: str, table: pa.Schema, left: str, op: str, right: str) -> None:
    where = f"The schema {place}, checks: compare_columns"
    if op not in _COMPARE:
        raise ConfigError(f"{where}: op={op!r}: need one of {', '.join(_COMPARE)}.")
    one, other = table.field(left).type, table.field(right).type
    if not (one == other or (is_number(one) and is_number(other))) or not is_simple(one):
        raise ConfigError(f"{where}: {left!r} ({one}) and {right!r} ({other}) cannot be compared. Remove it.")


def _compare(op: str) -> Callable[[Sequence[Chunk]], pa.BooleanArray | None]:
    holds = _COMPARE[op]

    def breaks(chunks: Sequence[Chunk]) -> pa.BooleanArray | None:
        left, right = chunks
        answer = holds(left.values, right.values)
        # Where a value is missing the answer is too, and the rule holds.
        return None if pc.all(answer).as_py() in (True, None) else pc.invert(answer).fill_null(fill_value=False)

    return breaks


def check_schema(schema: TableSchema, profiles: Mapping[str, Profile]) -> Iterator[Finding]:
    """Yield what is wrong with the columns themselves: absent, not foreseen, of another type, too empty."""
    columns = schema.schema.columns
    for name, column in columns.items():
        if name in profiles:
            yield from _check_column(schema, column, profiles[name])
        elif column.required:
            hint = nearest(name, profiles)
            yield error(
                "schema: required", name, f"the schema {schema.place} wants a column {name!r}, there is none.{hint}"
            )
    if schema.schema.strict:
        for name in profiles:
            if name not in columns:
                yield error(
                    "schema: strict", name, f"the column {name!r} is not in the schema {schema.place}. {_ADVICE}"
                )
    for check in _checks(schema.schema):
        for name in (check.values["left"], check.values["right"]):
            if name not in profiles:
                yield error(
                    f"schema: {check.name}", name, f"the schema {schema.place} compares {name!r}, which is no column."
                )


def _check_column(schema: TableSchema, column: Any, found: Profile) -> Iterator[Finding]:
    name = found.name
    if found.filled and found.is_simple and not fits(column.dtype, found.type):
        yield error(
            "schema: dtype",
            name,
            f"the column {name!r} has the type {found.type}, but the schema {schema.place} wants {column.dtype}. "
            f"{_ADVICE}",
        )
    share = found.nulls / found.rows
    for check in _checks(column):
        if check.name == "max_null_share" and share > check.values["share"]:
            finding = warning if check.warns else error
            yield finding(
                f"schema: {check.name}",
                name,
                f"the column {name!r} is missing in {share:.1%} of the rows, more than {check.values['share']:.1%} in "
                f"the schema {schema.place}. {_ADVICE}",
            )
