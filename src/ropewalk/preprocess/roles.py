"""Roles: what part each column plays, by the settings, its type and what was gathered of it."""

from collections.abc import Iterable, Mapping

import pyarrow as pa

from ropewalk.errors import ConfigError, nearest
from ropewalk.preprocess.config import BOOLEAN, CATEGORICAL, DATETIME, IGNORED, NUMERIC, PreprocessConfig

_LONG_TEXT = 40


def check_names(names: Iterable[str], target: str, config: PreprocessConfig) -> None:
    """Refuse settings that name a column which is no feature.

    Raises:
        ConfigError: Names the setting, the column and the nearest one that there is.
    """
    features = [name for name in names if name != target]
    settings = ("ignore", "numeric", "categorical", "roles", "scaling_by_column", "impute_by_column")
    for setting in settings:
        for name in getattr(config, setting):
            if name not in features:
                raise ConfigError(
                    f"preprocess.{setting} names {name!r}, which is no feature column of the table."
                    f"{nearest(name, features)}"
                )


def first_role(name: str, kind: pa.DataType, config: PreprocessConfig, aside: Mapping[str, str]) -> tuple[str, str]:
    """Return the role that settings and type give a column, and why.

    Args:
        name: The column's name.
        kind: Its Arrow type.
        config: The settings.
        aside: Columns that serve another purpose, and which.
    """
    if name in aside:
        return IGNORED, aside[name]
    named = config.role_of(name)
    if named:
        return named[0], f"named in `{named[1]}`"
    if pa.types.is_boolean(kind):
        return BOOLEAN, "holds truth values"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return NUMERIC, "holds numbers"
    if pa.types.is_temporal(kind) and not (pa.types.is_duration(kind) or pa.types.is_time(kind)):
        return DATETIME, "holds dates or times"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return CATEGORICAL, "holds text"
    return IGNORED, f"type {kind} is not understood"


def is_free_text(*, mean_length: float, distinct: int, filled: int) -> bool:
    """Say whether text reads like sentences: 40 characters or more on average, and more than half of them differ."""
    return mean_length >= _LONG_TEXT and distinct > filled / 2
