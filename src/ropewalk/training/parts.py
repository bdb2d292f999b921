"""A split's Parquet parts, read and encoded one row group at a time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ropewalk.artifacts import SPLIT, Manifest, read_artifact
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.training.rows import Rows, rows_on

_HOST = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Target:
    """How a target becomes what the loss compares with."""

    task: str
    """"binary", "multiclass" or "regression"."""
    center: float = 0.0
    """What is taken off a regression target."""
    scale: float = 1.0
    """What it is divided by then."""

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """Return encoded target values as a tensor."""
        if self.task == "multiclass":
            return torch.from_numpy(values)
        return torch.from_numpy((values - self.center) / self.scale).float()


class Parts:
    """The row groups of a split, in the order of its files; every byte is verified first."""

    def __init__(self, path: Path, preprocessor: Preprocessor) -> None:
        """Open the split at `path`.

        Raises:
            ArtifactError: It is missing, unfinished or altered.
        """
        self.manifest: Manifest = read_artifact(path, SPLIT)
        self._preprocessor = preprocessor
        files = [path / name for name in sorted(self.manifest.files)]
        self._footers = {file: pq.read_metadata(file) for file in files}
        self._places = [(file, group) for file in files for group in range(self._footers[file].num_row_groups)]

    @cached_property
    def sizes(self) -> list[int]:
        """Rows of each row group."""
        return [self._footers[file].row_group(group).num_rows for file, group in self._places]

    def __len__(self) -> int:
        return sum(self.sizes)

    @property
    def bytes_per_row(self) -> int:
        """Memory of one encoded row with its target."""
        return 8 * len(self._preprocessor.numbers) + 4 * len(self._preprocessor.vocabularies) + 8

    def measure_target(self) -> Target:
        """Return how to scale the target: by its mean and deviation for regression.

        Merged over row groups after Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance" (1983).

        Raises:
            DataError: The target has nulls, or a class that the preprocessor does not know.
        """
        count, mean, squares = 0, 0.0, 0.0
        for values in self._targets():
            if self._preprocessor.task != "regression":
                continue
            added = float(values.mean()) - mean
            squares += float(values.var()) * len(values) + added**2 * count * len(values) / (count + len(values))
            count += len(values)
            mean += added * len(values) / count
        scale = math.sqrt(squares / count) if count else 0.0
        return Target(task=self._preprocessor.task, center=mean, scale=scale or 1.0)

    def read(self, groups: Sequence[int], target: Target) -> Rows:
        """Return the rows of these row groups, encoded, in main memory."""
        columns = [*(column.name for column in self._preprocessor.used), self._preprocessor.target]
        table = pa.concat_tables([self._table(group, columns) for group in groups])
        encoded = self._preprocessor.encode(table)
        return rows_on(_HOST, encoded, target.tensor(self._preprocessor.encode_target(table)))

    def _targets(self) -> Iterator[np.ndarray]:
        for group, size in enumerate(self.sizes):
            if size:
                yield self._preprocessor.encode_target(self._table(group, [self._preprocessor.target]))

    def _table(self, group: int, columns: list[str]) -> pa.Table:
        file, index = self._places[group]
        with pq.ParquetFile(file, metadata=self._footers[file]) as opened:
            return opened.read_row_group(index, columns=columns)
