"""The schema of a table: a pandera `DataFrameSchema` in YAML, beside the data or in the settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ropewalk.data.beside import SCHEMA_ENDING
from ropewalk.data.tables import FOLDER
from ropewalk.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

COLUMN_CHECKS = (
    *("equal_to", "not_equal_to", "greater_than", "greater_than_or_equal_to", "less_than", "less_than_or_equal_to"),
    *("in_range", "isin", "notin", "str_length", "str_matches", "str_contains", "str_startswith", "str_endswith"),
    "max_null_share",
)
"""Checks of a column: pandera's, and one of ours."""
TABLE_CHECKS = ("compare_columns",)
"""Checks of a row."""

_TABLE_KEYS = ("schema_type", "version", "api", "columns", "checks", "strict", "unique", "name", "title", "description")
_COLUMN_KEYS = ("dtype", "nullable", "unique", "required", "checks", "title", "description", "name")
_OPTIONS = ("check_name", "raise_warning", "error", "name")


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """A schema that was read, and where it was found."""

    place: str
    """What messages call it."""
    schema: "DataFrameSchema"
    """As pandera reads it; holds only what is enforced."""


def find_schema(data: Path, settings: Mapping[str, Any]) -> TableSchema | None:
    """Return the schema of the settings, else that of a file in the raw-data artifact `data`, else None.

    Raises:
        ConfigError: The schema asks for something that is not known or not enforced; names every such place.
        DataError: There are several schema files.
    """
    if settings:
        return read_schema(yaml.safe_dump(dict(settings), sort_keys=False), place="validation.schema")
    folder = data / FOLDER
    files = folder.rglob("*.yaml")
    found = sorted(file for file in files if file.name == "schema.yaml" or file.name.endswith(SCHEMA_ENDING))
    if len(found) > 1:
        names = ", ".join(file.relative_to(folder).as_posix() for file in found)
        raise DataError(f"The data have several schemas: {names}. Keep one, or name the table's own in the path.")
    if not found:
        return None
    return read_schema(found[0].read_text(encoding="utf-8"), place=found[0].relative_to(folder).as_posix())


def read_schema(text: str, *, place: str) -> TableSchema:
    """Return the schema that `text` holds as YAML.

    Raises:
        ConfigError: It is no YAML, or asks for something that is not known or not enforced.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{place} is not YAML ({error}). Correct it.") from error
    problems = list(_problems(content)) if isinstance(content, dict) else ["it is not a mapping with `columns`"]
    if problems:
        raise ConfigError(f"The schema {place} is wrong:\n  - " + "\n  - ".join(problems))
    # Half a second that only tables with a schema pay; the checks of ours must be known before YAML names them.
    import pandera.errors
    import pandera.pandas

    import ropewalk.validation.pandera_checks  # noqa: F401

    try:
        schema = pandera.pandas.DataFrameSchema.from_yaml(text)
    except (TypeError, ValueError, KeyError, AttributeError, pandera.errors.SchemaInitError) as error:
        raise ConfigError(f"The schema {place} is wrong: pandera cannot read it ({error}). Correct it.") from error
    return TableSchema(place=place, schema=schema)


def _problems(content: dict[str, Any]) -> Iterator[str]:
    columns = content.get("columns")
    if not isinstance(columns, dict) or not columns:
        yield "columns: name the columns and what each must hold"
        columns = {}
    yield from _unknown("the table", content, keys=_TABLE_KEYS, checks=TABLE_CHECKS)
    for name, column in columns.items():
        if isinstance(column, dict):
            keys = (*_COLUMN_KEYS, *COLUMN_CHECKS)
            yield from _unknown(f"columns.{name}", column, keys=keys, checks=COLUMN_CHECKS)
        else:
            yield f"columns.{name}: need a mapping, such as `dtype: int64`, found {column!r}"


def _unknown(place: str, part: dict[str, Any], *, keys: tuple[str, ...], checks: tuple[str, ...]) -> Iterator[str]:
    for key in part:
        if key not in keys and not _is_default(key, part[key]):
            yield f"{place}: {key!r} is not known or not enforced.{nearest(str(key), keys)} Known: {', '.join(keys)}"
    for check, options in _checks(part, [key for key in part if key in keys and key in checks]):
        if check not in checks:
            yield f"{place}: there is no check {check!r}.{nearest(str(check), checks)} Known: {', '.join(checks)}"
        unknown = [option for option in options if option not in _OPTIONS]
        if unknown:
            yield f"{place}: the check {check!r} has options that are not enforced: {', '.join(map(str, unknown))}"


def _is_default(key: str, value: Any) -> bool:
    """Say whether pandera wrote a setting that does nothing."""
    defaults = ("coerce", "regex", "index", "dtype", "ordered", "drop_invalid_rows", "add_missing_columns")
    return key in ("report_duplicates", "unique_column_names") or (key in defaults and not value)


def _checks(part: dict[str, Any], flat: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and options of each check, in each of the forms that pandera reads."""
    listed = part.get("checks") or []
    if isinstance(listed, dict):
        yield from ((name, _options_in(value)) for name, value in listed.items())
    else:
        for entry in listed:
            options = entry.get("options", {}) if isinstance(entry, dict) else {}
            yield str(options.get("check_name")), options
    yield from ((name, _options_in(part[name])) for name in flat)


def _options_in(value: Any) -> dict[str, Any]:
    hidden = ("ignore_na", "n_failure_cases", "groupby", "groups")
    return {key: value[key] for key in value if key in hidden} if isinstance(value, dict) else {}
