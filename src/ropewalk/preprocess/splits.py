"""Splits as files: raw rows in Parquet, written and read in pieces, whatever their number."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from ropewalk.artifacts import SPLIT, Draft, Manifest, read_artifact, write_artifact
from ropewalk.preprocess.encodings import writer_options

ROW_GROUP = 32_768
"""Most rows of a row group: what a reader has to hold at a time."""
_PART_ROWS = 64 * ROW_GROUP
_ENCODED = pa.dictionary(pa.int32(), pa.string())


class SplitWriter:
    """Appends rows to a split's parts, `part-00000.parquet` and so on, of up to 2,097,152 rows each."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Write into `folder` rows of `schema`; text may come in dictionaries and is written as text."""
        self._folder, self._schema = folder, schema
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._in_part = self._parts = 0
        self.rows = 0
        """Rows that were added."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        if batch.num_rows:
            self._waiting.append(batch)
            self._waiting_rows += batch.num_rows
            self.rows += batch.num_rows
        while self._waiting_rows >= ROW_GROUP:
            self._write(ROW_GROUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Let go of a part that is still open: its folder is about to be removed."""
        if self._writer is not None:
            self._writer.is_open = False
            self._writer = None

    def close(self) -> None:
        """Write what waits and finish the last part; without any row, a part that has the columns only."""
        if self._waiting_rows or not self._parts:
            self._write(self._waiting_rows)
        self._end_part()

    def _write(self, rows: int) -> None:
        arrays = [self._joined(field, rows) for field in self._schema]
        self._drop(rows)
        if self._writer is None:
            self._writer = self._start_part(arrays)
        columns = [column.cast(field.type) for column, field in zip(arrays, self._writer.schema, strict=True)]
        self._writer.write_table(pa.table(columns, schema=self._writer.schema), row_group_size=ROW_GROUP)
        self._in_part += rows
        if self._in_part >= _PART_ROWS:
            self._end_part()

    def _joined(self, field: pa.Field, rows: int) -> pa.ChunkedArray:
        chunks, left = [], rows
        for batch in self._waiting:
            chunks.append(batch.column(field.name).slice(0, left))
            left -= len(chunks[-1])
            if left == 0:
                break
        if not pa.types.is_string(field.type):
            return pa.chunked_array([chunk.cast(field.type) for chunk in chunks], field.type)
        return _in_one_dictionary([_compact(chunk) for chunk in chunks])

    def _drop(self, rows: int) -> None:
        self._waiting_rows -= rows
        while rows:
            first = self._waiting.pop(0)
            if first.num_rows > rows:
                self._waiting.insert(0, first.slice(rows))
            rows -= min(rows, first.num_rows)

    def _start_part(self, arrays: list[pa.ChunkedArray]) -> pq.ParquetWriter:
        path = self._folder / f"part-{self._parts:05}.parquet"
        self._parts += 1
        self._in_part = 0
        options = writer_options(self._schema, arrays)
        # Texts that repeat go to the file by their places in the dictionary that they came with.
        repeating = [
            field.name in options["use_dictionary"] and pa.types.is_string(field.type) for field in self._schema
        ]
        fields = [
            field.with_type(_ENCODED) if repeats else field
            for field, repeats in zip(self._schema, repeating, strict=True)
        ]
        writer = pq.ParquetWriter(path, pa.schema(fields), store_schema=False, **options)
        # By this entry Arrow gives the columns the types that they had, whatever they were written from.
        writer.add_key_value_metadata({"ARROW:schema": b64encode(self._schema.serialize()).decode()})
        return writer

    def _end_part(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _compact(texts: pa.Array) -> pa.DictionaryArray:
    """Return texts in a dictionary that is no longer than a row group: that of a large table's may be."""
    if pa.types.is_dictionary(texts.type) and len(texts.dictionary) <= ROW_GROUP:
        return texts
    return (texts.dictionary_decode() if pa.types.is_dictionary(texts.type) else texts).dictionary_encode()


def _in_one_dictionary(chunks: list[pa.DictionaryArray]) -> pa.ChunkedArray:
    """Return texts as places in one dictionary, which Parquet has for each row group."""
    runs: list[tuple[pa.Array, list[pa.Array]]] = []
    for chunk in chunks:
        # Batches of one row group of the source have the same dictionary: comparing is far cheaper than merging.
        if not runs or not chunk.dictionary.equals(runs[-1][0]):
            runs.append((chunk.dictionary, []))
        runs[-1][1].append(chunk.indices)
    joined = [pa.DictionaryArray.from_arrays(pa.concat_arrays(places), dictionary) for dictionary, places in runs]
    whole = pa.chunked_array(joined, _ENCODED)
    return whole if len(joined) <= 1 else whole.unify_dictionaries()


@dataclass(frozen=True, kw_only=True)
class SplitStream:
    """A split that is read a batch at a time, as often as wanted."""

    manifest: Manifest
    parts: tuple[Path, ...]

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return int(self.manifest.facts["rows"])

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, a row group (up to 32,768 rows) at a time; `columns`: only those."""
        for part in self.parts:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    yield from file.iter_batches(batch_size=ROW_GROUP, row_groups=[group], columns=columns)


def open_split(path: Path) -> SplitStream:
    """Return a split as a stream of its rows, every byte verified.

    Raises:
        ArtifactError: It is missing, unfinished or altered.
    """
    manifest = read_artifact(path, SPLIT)
    return SplitStream(manifest=manifest, parts=tuple(path / name for name in sorted(manifest.files)))


def read_split(path: Path) -> tuple[pa.Table, Manifest]:
    """Return a split's rows, raw feature columns and target, and its manifest, every byte verified."""
    split = open_split(path)
    return pa.concat_tables([pq.read_table(part) for part in split.parts]), split.manifest


def describe_split(draft: Draft, writer: SplitWriter, name: str, *, columns: int, target: str, task: str) -> None:
    """Put what a person wants to know of the split `name` into its draft."""
    draft.facts.update(split=name, rows=writer.rows, columns=columns, target=target, task=task)


def write_split(path: Path, table: pa.Table, name: str, *, target: str, task: str, made_from: Manifest) -> Manifest:
    """Write `table` as the split `name` and return its manifest."""
    with write_artifact(path, SPLIT, [made_from]) as draft:
        with SplitWriter(draft.folder, table.schema) as writer:
            for batch in table.to_batches():
                writer.add(batch)
            writer.close()
        describe_split(draft, writer, name, columns=table.num_columns, target=target, task=task)
    return draft.manifest
