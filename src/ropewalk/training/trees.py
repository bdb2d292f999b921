"""Gradient-boosted trees by XGBoost: fitted to the columns that a network gets, kept as JSON, never as a pickle.

XGBoost (Chen and Guestrin, KDD 2016, arXiv 1603.02754) because its wheels bring all that they need, on a CPU and with
CUDA, under one module name and one file format.
"""

import importlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ropewalk.errors import ConfigError
from ropewalk.preprocess.preprocessor import MISSING, Encoded

if TYPE_CHECKING:
    import xgboost

TREES = "trees.json"
_DISTRIBUTIONS = ("xgboost-cpu", "xgboost")


class BoostedTrees:
    """Trees that give the outputs of rows."""

    def __init__(self, booster: "xgboost.Booster") -> None:
        self._booster = booster

    def outputs(self, encoded: Encoded) -> np.ndarray:
        """Return logits or scaled values in float64, shape (rows, outputs)."""
        return margins(self._booster, as_matrix(import_xgboost().DMatrix, encoded))

    def save(self, folder: Path) -> None:
        """Write the trees into `folder`, as JSON."""
        self._booster.save_model(folder / TREES)

    @property
    def requirements(self) -> tuple[str, ...]:
        """Distributions that loading needs: the one of XGBoost's that is installed here."""
        return tuple(name for name in _DISTRIBUTIONS if _is_installed(name))[:1]

    @property
    def leaves(self) -> int:
        """Leaves of all trees: the numbers that were learned."""
        return sum(tree.count("leaf=") for tree in self._booster.get_dump())


def load_trees(folder: Path) -> BoostedTrees:
    """Return the trees that `folder` holds.

    Raises:
        ConfigError: XGBoost is not installed.
    """
    return BoostedTrees(import_xgboost().Booster(model_file=folder / TREES))


def import_xgboost() -> ModuleType:
    """Return the module xgboost.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.import_module("xgboost")
    except ModuleNotFoundError as error:
        raise ConfigError(
            "training.architecture='gbdt' needs XGBoost, which is not installed here: pip install 'ropewalk[gbdt]', "
            "or 'ropewalk[gbdt-gpu]' for GPUs; or choose another architecture."
        ) from error


def as_matrix(kind: Callable[..., Any], encoded: Encoded, **more: Any) -> Any:
    """Return a DMatrix of numbers and category codes, both NaN where missing.

    Args:
        kind: xgboost.DMatrix or xgboost.QuantileDMatrix.
        encoded: The rows.
        more: Further arguments of `kind`, such as `label`.
    """
    numbers_BN = np.where(encoded.missing_BN > 0, np.nan, encoded.numbers_BN)
    codes_BC = np.where(encoded.codes_BC == MISSING, np.nan, encoded.codes_BC).astype(np.float32)
    kinds = ["q"] * numbers_BN.shape[1] + ["c"] * codes_BC.shape[1]
    return kind(np.hstack([numbers_BN, codes_BC]), feature_types=kinds, enable_categorical=True, **more)


def margins(booster: "xgboost.Booster", matrix: Any) -> np.ndarray:
    """Return logits or scaled values for the rows of a DMatrix, float64, shape (rows, outputs)."""
    found = booster.predict(matrix, output_margin=True)
    return np.asarray(found, dtype=np.float64).reshape(matrix.num_row(), -1)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
