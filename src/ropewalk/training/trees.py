"""Gradient-boosted trees by XGBoost: fitted to the columns that a network gets, kept as JSON, never as a pickle.

XGBoost (Chen and Guestrin, KDD 2016, arXiv 1603.02754) because its wheels bring all that they need, on a CPU and with
CUDA, under one module name and one file format.
"""

import importlib
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ropewalk.errors import ConfigError
from ropewalk.preprocess.preprocessor import FIRST_CATEGORY, MISSING, UNKNOWN, Encoded, Preprocessor

if TYPE_CHECKING:
    import xgboost

TREES = "trees.json"
_MOST_CATEGORIES = 255
_DISTRIBUTIONS = ("xgboost-cpu", "xgboost")


class BoostedTrees:
    """Trees that give the outputs of rows."""

    def __init__(self, booster: "xgboost.Booster", preprocessor: Preprocessor) -> None:
        self._booster = booster
        self._preprocessor = preprocessor

    def outputs(self, encoded: Encoded) -> np.ndarray:
        """Return logits or scaled values in float64, shape (rows, outputs)."""
        columns, kinds = tree_columns(encoded, self._preprocessor)
        matrix = import_xgboost().DMatrix(columns, feature_types=kinds, enable_categorical=True)
        return margins(self._booster, matrix)

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


def load_trees(folder: Path, preprocessor: Preprocessor) -> BoostedTrees:
    """Return the trees that `folder` holds.

    Raises:
        ConfigError: XGBoost is not installed.
    """
    return BoostedTrees(import_xgboost().Booster(model_file=folder / TREES), preprocessor)


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


def tree_columns(encoded: Encoded, preprocessor: Preprocessor) -> tuple[np.ndarray, list[str]]:
    """Return numbers, and the codes of columns that are categories only, as float32 with NaN where missing; and kinds.

    A vocabulary of more than 255 categories enters as a number, its categories' rank by frequency, as trees that may
    choose among all its subsets learn single rows by heart. An unknown category counts as the rarest.

    Returns:
        The columns, shape (rows, columns), and XGBoost's kind of each: "q" for a number, "c" for a category.
    """
    columns = [np.where(encoded.missing_BN > 0, np.float32(np.nan), encoded.numbers_BN)]
    kinds = ["q"] * encoded.numbers_BN.shape[1]
    for place, coded in enumerate(preprocessor.coded):
        if coded.is_number_too:
            continue
        codes, categories = encoded.codes_BC[:, place], len(coded.vocabulary)
        if categories > _MOST_CATEGORIES:
            codes = np.where(codes == UNKNOWN, categories + FIRST_CATEGORY, codes)
        kinds.append("q" if categories > _MOST_CATEGORIES else "c")
        columns.append(np.where(codes == MISSING, np.nan, codes).astype(np.float32)[:, np.newaxis])
    return np.hstack(columns), kinds


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
