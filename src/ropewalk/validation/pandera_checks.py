"""Checks that schemas may name beyond pandera's own; importing this module makes pandera know them."""

import operator

import pandas as pd
from pandera.extensions import register_check_method  # type: ignore[attr-defined]

OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}
"""How two columns may be compared."""


@register_check_method(statistics=["share"], supported_types=pd.Series)  # type: ignore[untyped-decorator]
def max_null_share(values: pd.Series, *, share: float) -> bool:
    """Say whether at most this share of the values is missing."""
    return bool(values.isna().mean() <= share)


@register_check_method(statistics=["left", "op", "right"], supported_types=pd.DataFrame)  # type: ignore[untyped-decorator]
def compare_columns(table: pd.DataFrame, *, left: str, op: str, right: str) -> pd.Series:
    """Say of each row whether the comparison holds; where a value is missing, it does."""
    missing = table[left].isna() | table[right].isna()
    holds: pd.Series = OPERATORS[op](table[left], table[right]) | missing
    return holds.astype(bool)
