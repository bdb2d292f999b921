"""The user's own function: a table of raw rows through pandas, the same in preprocessing, training and serving."""

import importlib
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ropewalk.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

UserFunction = Callable[["pd.DataFrame"], "pd.DataFrame"]


@lru_cache
def find_function(reference: str) -> UserFunction:
    """Return the function that "module:function" names.

    Modules are found as Python finds them, and in the working folder.

    Raises:
        ConfigError: There is no such module or function.
    """
    module_name, _, name = reference.partition(":")
    module = _import(module_name, reference)
    found = getattr(module, name, None)
    if not callable(found):
        functions = [other for other, value in vars(module).items() if callable(value)]
        raise ConfigError(
            f"function={reference!r}: the module {module_name!r} ({module.__file__}) has no function {name!r}."
            f"{nearest(name, functions)}"
        )
    return found  # type: ignore[no-any-return]


def _import(name: str, reference: str) -> Any:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"function={reference!r}: the module {error.name!r} cannot be found. The model needs it wherever it is "
            "trained, evaluated and served: install it in the image of the steps and of the server, or put its folder "
            f"on PYTHONPATH there. Looked in {here} and on Python's path."
        ) from error
    finally:
        if added:
            sys.path.remove(here)


def apply_function(reference: str, rows: pa.RecordBatch, schema: pa.Schema | None = None) -> pa.RecordBatch:
    """Return what the user's function makes of `rows`.

    Whole numbers reach it as Int64 and truth values as boolean, so that a type does not depend on which values are
    missing in a batch.

    Args:
        reference: "module:function".
        rows: Raw rows.
        schema: What an earlier batch became; None for the first.

    Raises:
        ConfigError: There is no such function.
        DataError: It returns something else than a DataFrame with one row per row, or other columns than before.
    """
    import pandas as pd

    function = find_function(reference)
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame = rows.to_pandas(types_mapper=nullable.get)
    result = function(frame)
    if not isinstance(result, pd.DataFrame):
        raise DataError(
            f"The function {reference} returned {type(result).__name__}, not a pandas DataFrame: return the rows."
        )
    if len(result) != rows.num_rows:
        raise DataError(
            f"The function {reference} returned {len(result):,} rows for {rows.num_rows:,}. In serving every row needs "
            "its answer, so keep each, in order; to leave a row out of training, set its target to None."
        )
    return _to_batch(reference, result, schema)


def _to_batch(reference: str, frame: "pd.DataFrame", schema: pa.Schema | None) -> pa.RecordBatch:
    try:
        made = pa.RecordBatch.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(
            f"The function {reference} returned a DataFrame that Arrow cannot hold: {error}. "
            "Give each column values of one type, and a name of its own that is text."
        ) from error
    made = pa.record_batch([_simple(column) for column in made.columns], names=made.schema.names)
    if schema is None:
        return made
    absent = [name for name in schema.names if name not in made.schema.names]
    added = [name for name in made.schema.names if name not in schema.names]
    if absent or added:
        raise DataError(
            f"The function {reference} returned other columns for a later batch: without {', '.join(absent) or 'none'}"
            f", and with {', '.join(added) or 'none'} besides. Return the same columns for every batch; one-hot "
            "columns, for instance, differ from batch to batch."
        )
    return pa.record_batch([_cast(reference, made.column(field.name), field) for field in schema], schema=schema)


def _cast(reference: str, values: pa.Array, field: pa.Field) -> pa.Array:
    if values.type == field.type:
        return values
    try:
        if pa.types.is_null(values.type) or (pa.types.is_integer(values.type) and pa.types.is_floating(field.type)):
            return values.cast(field.type, safe=False)
    except pa.ArrowException as error:
        raise DataError(f"The function {reference}, column {field.name!r}: {error}.") from error
    raise DataError(
        f"The function {reference} returned the column {field.name!r} as {field.type} for the first batch and as "
        f"{values.type} for a later one: give it one type, for instance by `astype`."
    )


def _simple(values: pa.Array) -> pa.Array:
    """Return the types that tables are read in: int64, float64, bool, string, timestamp[us]."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _simple(values.dictionary_decode())
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return values.cast(pa.int64())
    if pa.types.is_floating(kind) or kind == pa.uint64():
        return values.cast(pa.float64(), safe=False)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return values.cast(pa.timestamp("us", kind.tz and "UTC"), safe=False)
    return values
