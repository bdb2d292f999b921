"""The preprocessor: turns raw columns into the numbers that a network takes, the same in training and in serving."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.arrow_memory import as_texts, stored
from ropewalk.artifacts import disk_errors
from ropewalk.errors import ArtifactError, DataError
from ropewalk.preprocess.columns import (
    UNUSED,
    Column,
    Number,
    as_categories,
    as_names,
    as_numbers,
    bucket_of,
    number_parts,
    plain,
    read_values,
)
from ropewalk.preprocess.config import CATEGORICAL, DATETIME, NUMERIC
from ropewalk.preprocess.function import apply_function

FILE = "preprocessor.json"
FORMAT_VERSION = 3
_READABLE = (2, 3)
"""Format 2 knew no categories of parts of times."""

UNKNOWN = 0
"""Code of a category that was not seen in training."""
MISSING = 1
"""Code of an absent category."""
FIRST_CATEGORY = 2
"""Code of a vocabulary's first category."""

LARGEST = 1e30
"""Scaled numbers are cut off at plus and minus this, so that float32 arithmetic on them stays finite."""


@dataclass(frozen=True)
class Encoded:
    """Rows as numbers. Shape suffixes: B rows, N numbers, C category columns."""

    numbers_BN: np.ndarray
    """float32; scaled values, and the scaled `Number.fill` where they are missing."""
    missing_BN: np.ndarray
    """float32; 1 where the number is missing and the model is to know, else 0."""
    codes_BC: np.ndarray
    """int32; UNKNOWN, MISSING, or FIRST_CATEGORY + position in the vocabulary or bucket."""


@dataclass(frozen=True)
class Coded:
    """One column of `Encoded.codes_BC`."""

    name: str
    """Raw column, with the part of a time: "origin", "time_hour.day_of_week"."""
    vocabulary: Sequence[str | float]
    """The known categories; of a hashed column the numbers of its buckets."""
    is_number_too: bool
    """Whether it stands in `Encoded.numbers_BN` as well."""


@dataclass(frozen=True, kw_only=True)
class Preprocessor:
    """What was learned from the training rows; `encode` applies it to any rows."""

    task: str
    """"binary", "multiclass" or "regression"."""
    target: str
    """Name of the target column."""
    classes: tuple[str, ...]
    """Class names in the order of their indices (binary: negative, positive); empty for regression."""
    columns: tuple[Column, ...]
    """All columns but the target, in the table's order; with `function`, those that it returns."""
    function: str = ""
    """The user's own "module:function" that raw rows go through first; empty: none."""
    inputs: tuple[tuple[str, str], ...] = ()
    """With `function`: name and Arrow type of every raw column except the target. Empty without."""

    @property
    def used(self) -> list[Column]:
        """The columns that the model reads."""
        return [column for column in self.columns if column.role not in UNUSED]

    @property
    def takes(self) -> list[Column]:
        """The raw columns that `encode` needs: those that the model reads, or all inputs of the user's function."""
        if not self.function:
            return self.used
        return [
            Column(name=name, type=kind, role=_input_role(kind), reason="goes through the function", missing=0.0)
            for name, kind in self.inputs
        ]

    @property
    def numbers(self) -> list[Number]:
        """The numbers of all columns, in the order of `Encoded.numbers_BN`."""
        return [number for column in self.used for number in column.numbers]

    @property
    def coded(self) -> list[Coded]:
        """What is read as categories, in the order of `Encoded.codes_BC`."""
        found = []
        for column in self.used:
            if column.vocabulary is not None:
                found.append(Coded(column.name, column.vocabulary, bool(column.numbers)))
            elif column.buckets is not None:
                found.append(Coded(column.name, range(column.buckets), is_number_too=False))
            parts = [number for number in column.numbers if number.vocabulary]
            found += [Coded(number.label(column.name), number.vocabulary, is_number_too=True) for number in parts]
        return found

    def prepare(self, table: pa.Table) -> pa.Table:
        """Return raw rows as `columns` describes them: what the user's function makes of them, if there is one.

        Raises:
            ConfigError: The function cannot be found here.
            DataError: It fails to return a row per row.
        """
        if not self.function:
            return table
        batches = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
        return pa.Table.from_batches([apply_function(self.function, batch) for batch in batches])

    def encode(self, table: pa.Table) -> Encoded:
        """Return the rows of `table`, which holds raw columns in any order, as numbers.

        Raises:
            DataError: A column is missing or its values cannot be read as in training.
        """
        table = self.prepare(table)
        absent = [column.name for column in self.used if column.name not in table.column_names]
        if absent:
            raise DataError(
                f"Columns are missing: {', '.join(absent)}. "
                f"The model takes: {', '.join(column.name for column in self.used)}."
            )
        numbers, missing, codes = [], [], []
        for column in self.used:
            values = _read(column, table[column.name].combine_chunks())
            found = number_parts(column.role, values, tuple(number.part for number in column.numbers))
            for number, part in zip(column.numbers, found, strict=True):
                fill = number.center if number.fill is None else number.fill
                filled = part.fill_null(fill).to_numpy(zero_copy_only=False)
                numbers.append(number.scaled(filled).clip(-LARGEST, LARGEST))
                missing.append(part.is_null().to_numpy(zero_copy_only=False) & number.indicator)
            if column.categories is not None:
                codes.append(_codes(values, column))
            codes += [
                _positions(part, number.vocabulary)
                for number, part in zip(column.numbers, found, strict=True)
                if number.vocabulary
            ]
        return Encoded(
            _stack(numbers, table.num_rows, np.float32),
            _stack(missing, table.num_rows, np.float32),
            _stack(codes, table.num_rows, np.int32),
        )

    def encode_target(self, table: pa.Table) -> np.ndarray:
        """Return the target: class indices (int64) or, for regression, values (float64).

        Raises:
            DataError: The target column is missing, has nulls, or holds a class that was not seen in training.
        """
        table = self.prepare(table)
        if self.target not in table.column_names:
            raise DataError(
                f"The target column {self.target!r} is missing; the table has: {', '.join(table.column_names)}."
            )
        return self.read_target(table[self.target].combine_chunks())

    def read_target(self, values: pa.Array) -> np.ndarray:
        """Return the cells of the target column as `encode_target` does.

        Raises:
            DataError: There are nulls, or a class that was not seen in training.
        """
        values = plain(values)
        if values.null_count:
            raise DataError(
                f"The target {self.target!r} is missing in {values.null_count:,} of {len(values):,} rows: "
                "drop them first."
            )
        if self.task == "regression":
            return np.asarray(as_numbers(values).to_numpy(zero_copy_only=False))
        indices = pc.index_in(class_names(values), value_set=as_texts(self.classes))
        if indices.null_count:
            strange = values.filter(indices.is_null())[0].as_py()
            raise DataError(
                f"The target {self.target!r} holds {strange!r}, which no training row had; "
                f"the classes are {', '.join(self.classes)}."
            )
        return stored(indices).astype(np.int64)

    def save(self, folder: Path) -> None:
        """Write `preprocessor.json` into `folder`."""
        columns = [{**vars(column), "numbers": [vars(number) for number in column.numbers]} for column in self.columns]
        # A column is a line: between lines of one category each, nobody would find the next column.
        lines = ",\n".join(f"    {_json(column)}" for column in columns)
        facts = {"format_version": FORMAT_VERSION, **vars(self)}
        entries = {name: _json(value) for name, value in facts.items() if name != "columns"}
        entries["columns"] = f"[\n{lines}\n  ]"
        content = ",\n".join(f"  {_json(name)}: {value}" for name, value in entries.items())
        with disk_errors(folder / FILE):
            (folder / FILE).write_text(f"{{\n{content}\n}}\n", encoding="utf-8")


def load_preprocessor(folder: Path) -> Preprocessor:
    """Return the preprocessor that `folder` holds.

    Raises:
        ArtifactError: It was written in another format.
    """
    content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    version = content.pop("format_version")
    if version not in _READABLE:
        raise ArtifactError(
            f"{folder / FILE} has format {version}; this release reads {_READABLE[0]} to {FORMAT_VERSION}. "
            "Run preprocessing again."
        )
    return Preprocessor(
        task=content["task"],
        target=content["target"],
        classes=tuple(content["classes"]),
        columns=tuple(_column(entry) for entry in content["columns"]),
        function=content["function"],
        inputs=tuple((name, kind) for name, kind in content["inputs"]),
    )


def class_names(target: pa.Array) -> pa.Array:
    """Return a classification target's values as class names: whole numbers without a decimal point."""
    return as_names(target)


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def _column(entry: dict[str, Any]) -> Column:
    numbers = tuple(_number(number) for number in entry.pop("numbers"))
    vocabulary = entry.pop("vocabulary")
    return Column(**entry, numbers=numbers, vocabulary=None if vocabulary is None else tuple(vocabulary))


def _number(entry: dict[str, Any]) -> Number:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Number(**fields)


def _input_role(kind: str) -> str:
    if kind in ("int64", "double"):
        return NUMERIC
    return DATETIME if kind.startswith("timestamp") else CATEGORICAL


def _read(column: Column, values: pa.Array) -> pa.Array:
    try:
        return read_values(column.role, column.type, values)
    except DataError as error:
        raise DataError(
            f"Column {column.name!r} was {column.type} ({column.role}) in training, and cannot be read so now: {error}"
        ) from error


def _codes(values: pa.Array, column: Column) -> np.ndarray:
    if column.vocabulary is None:
        assert column.buckets is not None
        positions = bucket_of(values, column.buckets)
        return _shifted(positions, positions.is_null())
    return _positions(values, column.vocabulary)


def _positions(values: pa.Array, vocabulary: Sequence[str | float]) -> np.ndarray:
    known = pa.array(vocabulary)
    values = as_categories(as_numbers(values) if pa.types.is_floating(known.type) else values)
    return _shifted(pc.index_in(values, value_set=known), values.is_null())


def _shifted(positions: pa.Array, missing: pa.Array) -> np.ndarray:
    codes = pc.add(positions.fill_null(UNKNOWN - FIRST_CATEGORY), FIRST_CATEGORY)
    return np.asarray(pc.if_else(missing, MISSING, codes).to_numpy(zero_copy_only=False))


def _stack(columns: list[np.ndarray], rows: int, kind: type) -> np.ndarray:
    stacked: np.ndarray = np.empty((rows, len(columns)), dtype=kind)
    for index, column in enumerate(columns):
        stacked[:, index] = column
    return stacked
