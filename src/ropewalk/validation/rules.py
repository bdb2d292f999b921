"""The rules of the settings, checked by pandera."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from ropewalk.errors import nearest
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.findings import Finding, error, rows
from ropewalk.validation.profile import Profile

_EXAMPLES = 3
_UNIQUE = "field_uniqueness"
_FILLED = "not_nullable"


def check_rules(profiles: Mapping[str, Profile], config: ValidationConfig) -> Iterator[Finding]:
    """Yield an error for each rule of `config` that a column breaks, and for each rule about no column."""
    yield from _check_names(profiles, config)
    yield from _check_null_shares(profiles, config)
    ruled = {*config.required, *config.unique, *config.ranges, *config.allowed} & set(profiles)
    columns = {name: profiles[name] for name in sorted(ruled) if profiles[name].is_simple}
    wrong_type = [name for name in config.ranges if name in columns and not columns[name].is_numeric]
    for name in wrong_type:
        kind = columns.pop(name).type
        yield error("ranges", name, f"validation.ranges names {name!r}, but its type is {kind}: only numbers have one.")
    if columns:
        yield from _check_values(columns, config)


def _check_names(profiles: Mapping[str, Profile], config: ValidationConfig) -> Iterator[Finding]:
    for setting in ("required", "unique", "ranges", "allowed", "allow_mixed"):
        for name in getattr(config, setting):
            if name not in profiles:
                hint = nearest(name, profiles)
                yield error(setting, "", f"validation.{setting} names {name!r}, but there is no such column.{hint}")


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


def _check_values(columns: Mapping[str, Profile], config: ValidationConfig) -> Iterator[Finding]:
    # Only settings with such rules need pandera, whose import takes half a second.
    import pandera.pandas as pandera
    from pandera.errors import SchemaErrors

    schema = pandera.DataFrameSchema({name: pandera.Column(**_options(name, config)) for name in columns})
    table = pa.table({name: column.values for name, column in columns.items()}).to_pandas()
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors as errors:
        for (name, check), cases in errors.failure_cases.groupby(["column", "check"], sort=True):
            yield _explain(str(name), str(check), cases, config)


def _options(name: str, config: ValidationConfig) -> dict[str, Any]:
    from pandera.pandas import Check

    checks = []
    if name in config.ranges:
        checks.append(Check.in_range(*config.ranges[name], error="ranges"))
    if name in config.allowed:
        checks.append(Check.isin(list(config.allowed[name]), error="allowed"))
    return {"checks": checks, "nullable": name not in config.required, "unique": name in config.unique}


def _explain(name: str, check: str, cases: Any, config: ValidationConfig) -> Finding:
    first = cases.sort_values("index").head(_EXAMPLES)
    examples = ", ".join(
        f"{value!r} in row {row + 1}" for value, row in zip(first["failure_case"], first["index"], strict=True)
    )
    counted = rows(len(cases))
    if check == _FILLED:
        return error("required", name, f"the column {name!r} is required, but missing in {counted}.")
    if check == _UNIQUE:
        return error("unique", name, f"the column {name!r} must be unique, but {counted} share a value: {examples}.")
    if check == "ranges":
        low, high = config.ranges[name]
        return error(
            "ranges", name, f"the column {name!r} leaves its range {low:g} to {high:g} in {counted}: {examples}."
        )
    return error("allowed", name, f"the column {name!r} has values that are not allowed in {counted}: {examples}.")
