"""A split's Parquet parts, read and encoded one row group at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ropewalk.artifacts import SPLIT, Manifest, read_artifact
from ropewalk.preprocess.preprocessor import Preprocessor
from ropewalk.training.config import TrainingConfig
from ropewalk.training.labels import Labels
from ropewalk.training.rows import Rows, rows_on
from ropewalk.training.targets import scaling_of
from ropewalk.training.weights import check_weight_column, learn_weighting

_HOST = torch.device("cpu")


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
        """Memory of one encoded row with its target and weight."""
        return 8 * len(self._preprocessor.numbers) + 4 * len(self._preprocessor.coded) + 12

    def learn_labels(self, config: TrainingConfig) -> Labels:
        """Return how the rows' target is scaled and how the rows are weighed in training.

        Raises:
            DataError: The target has nulls, or a class that the preprocessor does not know; or weights are wrong.
        """
        learned = self._preprocessor
        check_weight_column(config.weight_column, next(iter(self._footers.values())).schema.names)
        scaling = scaling_of((target for _, target in self._labelled()), learned.task)
        weighting = learn_weighting(
            learned, self._labelled(config.weight_column), config, class_weights=config.class_weights
        )
        return Labels(task=learned.task, scaling=scaling, weighting=weighting)

    def validation_labels(self, training: Labels, config: TrainingConfig) -> Labels:
        """Return `training` with these rows' own weights, by which classes count alike.

        Raises:
            DataError: Weights are wrong.
        """
        pieces = self._labelled(config.weight_column)
        weighting = learn_weighting(self._preprocessor, pieces, config, class_weights=None)
        return replace(training, weighting=weighting)

    def read(self, groups: Sequence[int], labels: Labels) -> Rows:
        """Return the rows of these row groups, encoded, in main memory."""
        weights = [labels.weighting.column] if labels.weighting.column else []
        columns = [*(column.name for column in self._preprocessor.takes), self._preprocessor.target, *weights]
        table = pa.concat_tables([self._table(group, columns) for group in groups])
        encoded = self._preprocessor.encode(table)
        return rows_on(_HOST, encoded, *labels.tensors(table, self._preprocessor.encode_target(table)))

    def _labelled(self, weight_column: str = "") -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yield the target, with the column of weights beside it, of one row group after the other."""
        learned = self._preprocessor
        # The user's own function, which may make the target too, takes all columns.
        features = [column.name for column in learned.takes] if learned.function else []
        columns = [*features, learned.target, *([weight_column] if weight_column else [])]
        for group, size in enumerate(self.sizes):
            if size:
                table = self._table(group, columns)
                yield table, learned.encode_target(table)

    def _table(self, group: int, columns: list[str]) -> pa.Table:
        file, index = self._places[group]
        with pq.ParquetFile(file, metadata=self._footers[file]) as opened:
            return opened.read_row_group(index, columns=columns)
