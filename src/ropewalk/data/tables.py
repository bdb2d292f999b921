"""Reads the table in a raw-data artifact: CSV, JSON lines or Parquet, one file or many, as simple Arrow types."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.arrow_memory import no_value
from ropewalk.data.csv_files import CsvScan, guess_csv, read_csv, scan_csv
from ropewalk.data.json_files import JsonScan, guess_json, scan_json
from ropewalk.data.parquet_files import ParquetScan, read_parquet, scan_parquet
from ropewalk.errors import DataError

FOLDER = "data"
"""Where in a raw-data artifact the files lie, as they were versioned."""
CSV_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")
JSON_ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
TABLE_ENDINGS = CSV_ENDINGS + JSON_ENDINGS + PARQUET_ENDINGS

_BATCH_ROWS = 2**16


def read_table(raw: Path) -> pa.Table:
    """Return all rows of the raw-data artifact `raw`, its files in the order of their names.

    Columns are int64, float64, bool, string or timestamp[us] (with time zone UTC, or without one); a column
    without any value is a string column. NaN is missing. Nested, binary and other rare types are left as they
    are, for validation to name. The bytes are not verified here: `read_artifact(raw, RAW_DATA)` does that.

    Raises:
        DataError: There is no table, a file is broken, or files differ in columns; names file and place.
    """
    folder = raw / FOLDER
    tables = {name: _read_file(folder / name, name) for name in table_names(folder)}
    schema = _common_schema({name: table.schema for name, table in tables.items()})
    whole = pa.concat_tables(table.select(schema.names).cast(schema, safe=False) for table in tables.values())
    if whole.num_rows == 0:
        raise DataError(f"{', '.join(tables)}: there are column names ({', '.join(schema.names[:10])}) but no rows.")
    return whole


@dataclass(frozen=True, kw_only=True)
class TableStream:
    """A table that is read a batch at a time, as often as wanted, in memory that does not grow with it."""

    schema: pa.Schema
    """Columns and types, those of `read_table`."""
    rows: int
    """Rows of all files; about so many when the table was guessed."""
    files: tuple[CsvScan | JsonScan | ParquetScan, ...]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows in order, up to 65,536 at a time.

        Raises:
            GuessError: The table was guessed, and a row does not fit.
            DataError: A file is broken; names it.
        """
        for batch in self.coded_batches():
            columns = [plain(column) for column in batch.columns]
            yield pa.record_batch(columns, schema=self.schema)

    def coded_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield what `batches` does, but where the file stores text as a dictionary of its values, it stays one.

        A thread reads the next batch while the last one is looked at.

        Raises:
            DataError: A file is broken; names it.
        """
        yield from _ahead(self._read())

    def select(self, columns: Sequence[str]) -> "TableStream":
        """Return the table with these columns only; of Parquet files no others are read."""
        return replace(self, schema=pa.schema([self.schema.field(name) for name in columns]))

    def _read(self) -> Iterator[pa.RecordBatch]:
        names = self.schema.names
        for file in self.files:
            texts = file.coded if isinstance(file, ParquetScan) else ()
            for batch in file.batches(names, texts):
                columns = [_simplify_array(batch.column(field.name), field.type) for field in self.schema]
                yield from _cut(pa.record_batch(columns, names=names))

    def encoded_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield what `batches` does, with each text column as places in a dictionary of the texts that differ.

        Raises:
            GuessError: The table was guessed, and a row does not fit.
            DataError: A file is broken; names it.
        """
        texts = [field.name for field in self.schema if pa.types.is_string(field.type)]
        for file in self.files:
            for batch in file.batches(self.schema.names, texts):
                columns = [_encode_array(batch.column(field.name), field.type) for field in self.schema]
                yield from _cut(pa.record_batch(columns, names=self.schema.names))


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for first in range(0, batch.num_rows, _BATCH_ROWS):
        yield batch.slice(first, _BATCH_ROWS)


def plain(column: pa.Array) -> pa.Array:
    """Return a column of a coded batch without its dictionary, if it has one."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def open_table(raw: Path) -> TableStream:
    """Return the table of the raw-data artifact `raw` as a stream of the rows that `read_table` returns.

    Raises:
        DataError: As `read_table` does; a broken Parquet page is found only when it is read.
    """
    return open_files(raw / FOLDER)


def guess_table(raw: Path) -> TableStream:
    """Return what `open_table` does, without looking at every row first: types come from each file's beginning.

    Nearly always they are right, and text is parsed once instead of twice; else reading raises GuessError.

    Raises:
        DataError: As `read_table` does, for the beginnings of the files.
    """
    return _open(raw / FOLDER, _guess)


def open_files(path: Path) -> TableStream:
    """Return the table in the file `path`, or in the files of the folder `path`, as a stream of rows.

    Raises:
        DataError: As `read_table` does.
    """
    return _open(path, _scan)


def _open(path: Path, look: Callable[[Path, str], CsvScan | JsonScan | ParquetScan]) -> TableStream:
    folder, names = (path, table_names(path)) if path.is_dir() else (path.parent, [path.name])
    if not all(map(is_table, names)):
        raise DataError(f"{path.name} is no table. Readable are {', '.join(TABLE_ENDINGS)}.")
    files = {name: look(folder / name, name) for name in names}
    schema = _common_schema({name: _simple_schema(file.schema) for name, file in files.items()})
    rows = sum(file.rows for file in files.values())
    if rows == 0:
        raise DataError(f"{', '.join(files)}: there are column names ({', '.join(schema.names[:10])}) but no rows.")
    return TableStream(schema=schema, rows=rows, files=tuple(files.values()))


def _scan(path: Path, name: str) -> CsvScan | JsonScan | ParquetScan:
    if name.lower().endswith(CSV_ENDINGS):
        return scan_csv(path, name=name)
    return scan_json(path, name=name) if name.lower().endswith(JSON_ENDINGS) else scan_parquet(path, name=name)


def _guess(path: Path, name: str) -> CsvScan | JsonScan | ParquetScan:
    if name.lower().endswith(CSV_ENDINGS):
        return guess_csv(path, name=name)
    return guess_json(path, name=name) if name.lower().endswith(JSON_ENDINGS) else scan_parquet(path, name=name)


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _simple_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema({field.name: _simplify(pa.chunked_array([], field.type)).type for field in schema})


def _simplify_array(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(column.type) and pa.types.is_string(kind) and column.dictionary.null_count == 0:
        codes, texts = column.indices.cast(pa.int32()), column.dictionary.cast(kind)
        return pa.DictionaryArray.from_arrays(codes, texts)
    simple = _simplify(pa.chunked_array([column])).cast(kind, safe=False)
    return simple.chunk(0) if simple.num_chunks == 1 else simple.combine_chunks()


def _encode_array(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_string(kind):
        return _simplify_array(column, kind)
    encoded = pa.dictionary(pa.int32(), pa.string())
    return column if column.type == encoded else _simplify_array(column, kind).dictionary_encode()


def table_names(folder: Path) -> list[str]:
    """Return the names (relative, POSIX, sorted) of the table files in `folder`.

    Raises:
        DataError: There is none, or the folders are named like partitions (`year=2013`).
    """
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    tables = [name for name in files if is_table(name)]
    if not tables:
        found = ", ".join(files[:10]) or "nothing"
        raise DataError(f"There is no table in the data: found {found}. Readable are {', '.join(TABLE_ENDINGS)}.")
    partition = next((name for name in tables if "=" in name.rpartition("/")[0]), None)
    if partition:
        raise DataError(
            f"{partition} lies in a folder named like a partition (column=value), whose value would be lost. "
            "Write that column into the files."
        )
    return tables


def is_table(name: str) -> bool:
    """Say whether a file of this name is read as a table."""
    return name.lower().endswith(TABLE_ENDINGS) and not name.rpartition("/")[2].startswith((".", "_"))


def _read_file(path: Path, name: str) -> pa.Table:
    if name.lower().endswith(CSV_ENDINGS):
        table = read_csv(path, name=name)
    elif name.lower().endswith(JSON_ENDINGS):
        scan = scan_json(path, name=name)
        table = pa.Table.from_batches(scan.batches(), schema=scan.schema)
    else:
        table = read_parquet(path, name=name)
    return pa.table([_simplify(column) for column in table.columns], names=table.column_names)


def _simplify(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _simplify(column.cast(kind.value_type))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64(), safe=False)
        # A sum with a NaN in it is NaN, and far quicker than looking at each number.
        if pc.is_nan(pc.sum(numbers)).as_py() is not True:
            return numbers
        return pc.if_else(pc.is_nan(numbers), no_value(pa.float64()), numbers)
    simple = _simple_type(kind)
    return column if simple is None else column.cast(simple, safe=False)


def _simple_type(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_uint64(kind):
        return pa.float64()
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    return pa.timestamp("us") if pa.types.is_date(kind) else None


def _common_schema(schemas: dict[str, pa.Schema]) -> pa.Schema:
    """Return the columns of all files: integers may meet fractions, and columns without values any type."""
    first = next(iter(schemas))
    columns = {field.name: (field.type, first) for field in schemas[first]}
    for name, schema in schemas.items():
        _check_same_names(first, list(columns), name, schema.names)
        for field in schema:
            known, file = columns[field.name]
            common = _common_type(known, field.type)
            if common is None:
                raise DataError(
                    f"{file} and {name} differ in the type of column {field.name!r}: {known} and {field.type}. "
                    "Correct the file that is wrong."
                )
            columns[field.name] = (common, file if common == known else name)
    return pa.schema({name: pa.string() if pa.types.is_null(kind) else kind for name, (kind, _) in columns.items()})


def _check_same_names(first: str, expected: Sequence[str], name: str, found: Sequence[str]) -> None:
    only_first = ", ".join(column for column in expected if column not in found) or "none"
    only_here = ", ".join(column for column in found if column not in expected) or "none"
    if set(expected) != set(found):
        raise DataError(
            f"{first} and {name} have different columns. Only in {first}: {only_first}; only in {name}: "
            f"{only_here}. Give all files the same columns, or name one file in the path."
        )


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else None
