"""Reads a file of JSON lines, one object a line, in blocks: columns and types come from all lines, never a sample."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.json as arrow_json

from ropewalk.data.guess import GuessError
from ropewalk.errors import DataError

_BLOCK_BYTES = 8 * 2**20
_ROW = re.compile(r"in row (\d+)")
_GZIP_RATIO = 4


@dataclass(frozen=True, kw_only=True)
class JsonScan:
    """What a first look at a file of JSON lines found."""

    path: Path
    name: str
    rows: int
    """Lines with an object; after `guess_json`, an estimate."""
    schema: pa.Schema
    """The columns, in the order of their first occurrence; a line without one of them has null there."""
    guessed: bool
    """Whether the schema comes from the first block alone."""

    def batches(self, *_: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the file, a block at a time.

        Raises:
            GuessError: A line does not fit the guessed schema.
            DataError: The file has changed since it was scanned.
        """
        with _whole_gzip(self.name):
            for first, block in _blocks(self.path):
                try:
                    table = _parse(block, self.schema)
                except pa.ArrowInvalid as error:
                    if self.guessed:
                        raise GuessError from error
                    raise _explain(self.name, first, block, error) from error
                yield from table.combine_chunks().to_batches()


def scan_json(path: Path, *, name: str) -> JsonScan:
    """Return the number of rows, and the columns with types that fit all of them.

    Whole numbers may meet fractions, null anything, and points in time other text; other types may not mix.

    Raises:
        DataError: A line is no JSON object, or a column mixes types; names file and line.
    """
    rows, schema = 0, pa.schema([])
    with _whole_gzip(name):
        for first, block in _blocks(path):
            try:
                table = _parse(block, None)
            except pa.ArrowInvalid as error:
                raise _explain(name, first, block, error) from error
            rows += table.num_rows
            schema = _join(schema, table.schema, name, first)
    return JsonScan(path=path, name=name, rows=rows, schema=schema, guessed=False)


def guess_json(path: Path, *, name: str) -> JsonScan:
    """Return what the first block tells of the file.

    Raises:
        DataError: A line of it is no JSON object, or a column mixes types.
    """
    with _whole_gzip(name):
        first, block = next(_blocks(path), (1, b""))
        try:
            table = _parse(block, None) if block else pa.table({})
        except pa.ArrowInvalid as error:
            raise _explain(name, first, block, error) from error
    size = path.stat().st_size * (_GZIP_RATIO if path.suffix == ".gz" else 1)
    rows = table.num_rows if size <= len(block) else round(table.num_rows * size / len(block))
    return JsonScan(path=path, name=name, rows=rows, schema=table.schema, guessed=True)


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number of the first line, whole lines) for some 8 MB at a time; blocks without an object are left out."""
    line, rest = 1, b""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        while True:
            read = stream.read(_BLOCK_BYTES)
            if line == 1 and not rest:
                read = read.removeprefix(b"\xef\xbb\xbf")
            whole, newline, tail = read.rpartition(b"\n")
            if read and not newline:
                rest += read
                continue
            block, rest = rest + whole + newline, tail
            if not read:
                block, rest = rest + block, b""
            if block.strip():
                yield line, block
            if not read:
                return
            line += block.count(b"\n")


def _parse(block: bytes, schema: pa.Schema | None) -> pa.Table:
    return arrow_json.read_json(
        pa.BufferReader(block),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=max(len(block) + 1, 64)),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=schema,
            newlines_in_values=False,
            unexpected_field_behavior="infer" if schema is None else "error",
        ),
    )


def _join(known: pa.Schema, found: pa.Schema, name: str, line: int) -> pa.Schema:
    types = {field.name: field.type for field in known}
    for field in found:
        before = types.get(field.name)
        types[field.name] = field.type if before is None else _common_type(before, field, name, line)
    return pa.schema(types)


def _common_type(before: pa.DataType, field: pa.Field, name: str, line: int) -> pa.DataType:
    if {*map(str, (before, field.type))} == {"string", "timestamp[s]"}:
        return pa.string()
    try:
        pair = [pa.schema({field.name: before}), pa.schema({field.name: field.type})]
        return pa.unify_schemas(pair, promote_options="permissive").field(0).type
    except pa.ArrowException as error:
        raise DataError(
            f"{name}: the column {field.name!r} holds {before} before line {line}, and {field.type} after it. "
            "Write all its values as one type."
        ) from error


def _explain(name: str, first: int, block: bytes, error: pa.ArrowInvalid) -> DataError:
    """Return the error that names the line at fault."""
    numbers = [number for number, line in enumerate(block.split(b"\n"), start=first) if line.strip()]
    lines = [line for line in block.split(b"\n") if line.strip()]
    for number, line in zip(numbers, lines, strict=True):
        problem = _problem(line)
        if problem:
            shown = line[:60].decode("utf-8", errors="replace")
            return DataError(f"{name}, line {number}: {problem}. It begins {shown!r}. Correct or remove it.")
    row = _ROW.search(str(error))
    where = f"line {numbers[int(row[1])]}" if row and int(row[1]) < len(numbers) else f"lines {first} and following"
    return DataError(f"{name}, {where}: {error}. Write all values of a column as one type.")


def _problem(line: bytes) -> str:
    try:
        found = json.loads(line)
    except UnicodeDecodeError as error:
        return f"it is not in UTF-8 ({error.reason} at byte {error.start})"
    except ValueError as error:
        return f"it is not JSON ({error})"
    return "" if isinstance(found, dict) else f"it holds a {type(found).__name__}, not an object"


@contextmanager
def _whole_gzip(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, io.UnsupportedOperation) as error:
        raise DataError(f"{name} is not a whole gzip file ({error}). Copy or compress it again.") from error
