"""Reads one Parquet file, whole or a batch of rows at a time; text that repeats stays a dictionary of its values."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ropewalk.errors import DataError

_MOST_BYTES_PER_CODE = 4
_BATCH_ROWS = 2**16
_BUFFER_BYTES = 2**20
"""Read of a column at a time: row groups may be larger than memory."""


@dataclass(frozen=True, kw_only=True)
class ParquetScan:
    """What the end of a Parquet file tells."""

    path: Path
    name: str
    rows: int
    """Number of rows."""
    schema: pa.Schema
    """Columns and types as they are stored."""
    coded: tuple[str, ...]
    """Text columns that seem to be stored as places in a dictionary: to read them so is fast, and never wrong."""

    def batches(self, columns: Sequence[str], texts: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield `columns` of all rows, in order, those of them in `texts` as places in a dictionary.

        Raises:
            DataError: A page is broken.
        """
        with (
            _whole_parquet(self.name),
            pq.ParquetFile(self.path, read_dictionary=list(texts), buffer_size=_BUFFER_BYTES) as file,
        ):
            # One group after another: a reader of all keeps the bytes of each that it has read.
            for group in range(file.num_row_groups):
                yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=list(columns))


def read_parquet(path: Path, *, name: str) -> pa.Table:
    """Return the file as a table with the types that are stored.

    Args:
        path: A Parquet file.
        name: What messages call the file.

    Raises:
        DataError: The file is broken, or two columns have one name.
    """
    with _whole_parquet(name), pq.ParquetFile(path) as file:
        table = file.read()
    _check_unique_names(table.column_names, name)
    return table


def scan_parquet(path: Path, *, name: str) -> ParquetScan:
    """Return what the file tells of its rows, without reading them.

    Raises:
        DataError: As `read_parquet` does.
    """
    with _whole_parquet(name), pq.ParquetFile(path) as file:
        schema, rows, coded = file.schema_arrow, file.metadata.num_rows, _coded(file)
    _check_unique_names(schema.names, name)
    return ParquetScan(path=path, name=name, rows=rows, schema=schema, coded=coded)


def _coded(file: pq.ParquetFile) -> tuple[str, ...]:
    if file.num_row_groups == 0:
        return ()
    texts = {field.name for field in file.schema_arrow if _is_text(field.type) and "." not in field.name}
    group = file.metadata.row_group(0)
    stored = (group.column(place) for place in range(group.num_columns))
    return tuple(
        column.path_in_schema
        for column in stored
        if column.path_in_schema in texts
        and column.has_dictionary_page
        # Where the dictionary grew too large the writer went on with the texts themselves, which take more.
        and column.total_uncompressed_size <= _MOST_BYTES_PER_CODE * column.num_values
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


@contextmanager
def _whole_parquet(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name} is not a whole Parquet file ({error}). Copy or write it again.") from error


def _check_unique_names(names: Sequence[str], name: str) -> None:
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise DataError(f"{name}: several columns are named {', '.join(map(repr, twice))}. Rename or remove one.")
