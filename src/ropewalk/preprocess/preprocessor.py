"""The preprocessor: turns raw columns into the numbers that a network takes, the same in training and in serving."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ropewalk.artifacts import write_json
from ropewalk.errors import ArtifactError, DataError
from ropewalk.preprocess.columns import (
    DATETIME,
    IGNORED,
    NUMERIC,
    Column,
    Number,
    as_categories,
    as_numbers,
    parts,
)

FILE = "preprocessor.json"
FORMAT_VERSION = 1

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
    """float32; (value - center) / scale, 0 where missing."""
    missing_BN: np.ndarray
    """float32; 1 where the number is missing, else 0."""
    codes_BC: np.ndarray
    """int32; UNKNOWN, MISSING, or FIRST_CATEGORY + position in the vocabulary."""


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
    """All columns but the target, in the table's order."""

    @property
    def used(self) -> list[Column]:
        """The columns that are not ignored."""
        return [column for column in self.columns if column.role != IGNORED]

    @property
    def numbers(self) -> list[Number]:
        """The numbers of all columns, in the order of `Encoded.numbers_BN`."""
        return [number for column in self.used for number in column.numbers]

    @property
    def vocabularies(self) -> list[tuple[str | float, ...]]:
        """The vocabularies, in the order of `Encoded.codes_BC`."""
        return [column.vocabulary for column in self.used if column.vocabulary is not None]

    def encode(self, table: pa.Table) -> Encoded:
        """Return the rows of `table`, which holds raw columns in any order, as numbers.

        Raises:
            DataError: A column is missing or its values cannot be read as in training.
        """
        absent = [column.name for column in self.used if column.name not in table.column_names]
        if absent:
            raise DataError(
                f"Columns are missing: {', '.join(absent)}. "
                f"The model takes: {', '.join(column.name for column in self.used)}."
            )
        numbers, missing, codes = [], [], []
        for column in self.used:
            values = self._read(column, table[column.name].combine_chunks())
            for number, (_, part) in zip(column.numbers, parts(column.role, values), strict=True):
                scaled = pc.divide(pc.subtract(part, number.center), number.scale).fill_null(0.0)
                numbers.append(scaled.to_numpy(zero_copy_only=False).clip(-LARGEST, LARGEST))
                missing.append(part.is_null().to_numpy(zero_copy_only=False))
            if column.vocabulary is not None:
                codes.append(_codes(values, column.vocabulary))
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
        if self.target not in table.column_names:
            raise DataError(
                f"The target column {self.target!r} is missing; the table has: {', '.join(table.column_names)}."
            )
        values = table[self.target].combine_chunks()
        if values.null_count:
            raise DataError(
                f"The target {self.target!r} is missing in {values.null_count:,} of {len(values):,} rows: "
                "drop them first."
            )
        if self.task == "regression":
            return np.asarray(as_numbers(values).to_numpy(zero_copy_only=False))
        indices = pc.index_in(class_names(values), value_set=pa.array(self.classes))
        if indices.null_count:
            strange = values.filter(indices.is_null())[0].as_py()
            raise DataError(
                f"The target {self.target!r} holds {strange!r}, which no training row had; "
                f"the classes are {', '.join(self.classes)}."
            )
        return np.asarray(indices.to_numpy(zero_copy_only=False).astype(np.int64))

    def save(self, folder: Path) -> None:
        """Write `preprocessor.json` into `folder`."""
        write_json(folder / FILE, {"format_version": FORMAT_VERSION, **asdict(self)})

    def _read(self, column: Column, values: pa.Array) -> pa.Array:
        try:
            if column.role == NUMERIC:
                return as_numbers(values)
            if column.role == DATETIME:
                return values.cast(pa.timestamp("us"), safe=False)
            return values
        except (DataError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"Column {column.name!r} was {column.type} ({column.role}) in training, "
                f"and cannot be read so now: {error}"
            ) from error


def load_preprocessor(folder: Path) -> Preprocessor:
    """Return the preprocessor that `folder` holds.

    Raises:
        ArtifactError: It was written in another format.
    """
    content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    version = content.pop("format_version")
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"{folder / FILE} has format {version}; this release reads {FORMAT_VERSION}. Run preprocessing again."
        )
    columns = tuple(_column(entry) for entry in content.pop("columns"))
    return Preprocessor(
        task=content["task"], target=content["target"], classes=tuple(content["classes"]), columns=columns
    )


def class_names(target: pa.Array) -> pa.Array:
    """Return a classification target's values as class names: whole numbers without a decimal point."""
    if pa.types.is_floating(target.type) and pc.all(pc.equal(pc.floor(target), target)).as_py():
        target = target.cast(pa.int64())
    return target.cast(pa.string())


def _column(entry: dict[str, Any]) -> Column:
    numbers = tuple(Number(**{**number, "edges": tuple(number["edges"])}) for number in entry.pop("numbers"))
    vocabulary = entry.pop("vocabulary")
    return Column(**entry, numbers=numbers, vocabulary=None if vocabulary is None else tuple(vocabulary))


def _codes(values: pa.Array, vocabulary: tuple[str | float, ...]) -> np.ndarray:
    known = pa.array(vocabulary)
    values = as_numbers(values) if pa.types.is_floating(known.type) else as_categories(values)
    positions = pc.index_in(values, value_set=known).fill_null(UNKNOWN - FIRST_CATEGORY)
    codes = pc.add(positions, FIRST_CATEGORY)
    return np.asarray(pc.if_else(values.is_null(), MISSING, codes).to_numpy(zero_copy_only=False))


def _stack(columns: list[np.ndarray], rows: int, kind: type) -> np.ndarray:
    stacked: np.ndarray = np.empty((rows, len(columns)), dtype=kind)
    for index, column in enumerate(columns):
        stacked[:, index] = column
    return stacked
