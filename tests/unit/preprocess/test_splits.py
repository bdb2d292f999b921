"""Splits as files: what is read is what was written, however its texts came and went."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ropewalk.preprocess import encodings, splits
from ropewalk.preprocess.splits import SplitWriter

SCHEMA = pa.schema(
    {
        "city": pa.string(),
        "remark": pa.string(),
        "when": pa.timestamp("us", "UTC"),
        "took": pa.duration("s"),
        "share": pa.float64(),
        "tags": pa.list_(pa.int64()),
    }
)


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "ROW_GROUP", 1000)
    monkeypatch.setattr(splits, "_PART_ROWS", 4000)
    monkeypatch.setattr(encodings, "_FEW_TEXTS", 100)


def table() -> pa.Table:
    rows = range(9_500)
    columns = [
        [f"{row // 3000}-{row % 7}" if row % 11 else None for row in rows],
        [f"remark {row}" for row in rows],
        list(rows),
        list(rows),
        [row / 3 if row % 5 else None for row in rows],
        [[row] for row in rows],
    ]
    return pa.table([pa.array(cells, field.type) for cells, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def encoded(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = [cells.dictionary_encode() if pa.types.is_string(cells.type) else cells for cells in batch.columns]
        yield pa.record_batch(columns, names=batch.schema.names)


def sharing(whole: pa.Table) -> list[pa.RecordBatch]:
    """Return batches whose texts are places in one dictionary, which is longer than a row group."""
    columns = [
        column.combine_chunks().dictionary_encode() if pa.types.is_string(column.type) else column.combine_chunks()
        for column in whole.columns
    ]
    return pa.table(columns, names=whole.column_names).to_batches(max_chunksize=300)


@pytest.mark.parametrize("texts", ["plain", "encoded", "sharing"])
def test_rows_come_back_in_their_types_and_order(texts: str, tmp_path: Path) -> None:
    batches = table().to_batches(max_chunksize=300)
    given = {"plain": batches, "encoded": encoded(batches), "sharing": sharing(table())}[texts]
    with SplitWriter(tmp_path, SCHEMA) as writer:
        for batch in given:
            writer.add(batch)
        writer.close()
    parts = [pq.read_table(part) for part in sorted(tmp_path.iterdir())]
    assert [len(part) for part in parts] == [4000, 4000, 1500]
    assert all(part.schema == SCHEMA for part in parts)
    assert pa.concat_tables(parts).equals(table())


def test_texts_that_repeat_are_stored_by_their_places_and_others_as_they_are(tmp_path: Path) -> None:
    with SplitWriter(tmp_path, SCHEMA) as writer:
        for batch in encoded(table().to_batches(max_chunksize=300)):
            writer.add(batch)
        writer.close()
    group = pq.ParquetFile(tmp_path / "part-00000.parquet").metadata.row_group(1)
    coded = {group.column(place).path_in_schema: group.column(place).has_dictionary_page for place in range(6)}
    assert [name for name, is_coded in coded.items() if is_coded] == ["city"]


def test_a_split_without_rows_has_its_columns(tmp_path: Path) -> None:
    with SplitWriter(tmp_path, SCHEMA) as writer:
        writer.close()
    assert pq.read_table(tmp_path / "part-00000.parquet").equals(SCHEMA.empty_table())


def test_numbers_are_laid_out_by_what_they_hold(tmp_path: Path) -> None:
    rows = range(4_000)
    columns = {
        "few": [float(row % 7) for row in rows],
        "many": [row / 3 if row % 5 else None for row in rows],
        "number": list(rows),
        "class": [row % 2 for row in rows],
    }
    table = pa.table(columns)
    with SplitWriter(tmp_path, table.schema) as writer:
        for batch in table.to_batches():
            writer.add(batch)
        writer.close()
    group = pq.ParquetFile(tmp_path / "part-00000.parquet").metadata.row_group(0)
    layout = {group.column(place).path_in_schema: set(group.column(place).encodings) for place in range(4)}
    assert "RLE_DICTIONARY" in layout["few"] & layout["class"]
    assert "BYTE_STREAM_SPLIT" in layout["many"]
    assert "DELTA_BINARY_PACKED" in layout["number"]
    assert pq.read_table(tmp_path / "part-00000.parquet").equals(table)
