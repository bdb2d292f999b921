"""Schema: what a network takes and gives, from which every architecture is built, the user's own too."""

from dataclasses import dataclass

import numpy as np

from ropewalk.preprocess.preprocessor import FIRST_CATEGORY, Preprocessor


@dataclass(frozen=True, kw_only=True)
class NumberInput:
    """One column of `numbers_BN` and `missing_BN`."""

    name: str
    """Raw column, with the part of a time: "distance", "time_hour.day_of_week"."""
    has_missing: bool
    """Whether its missing flag was ever 1 in training."""
    edges: tuple[float, ...]
    """Increasing quantiles of the training rows, in the unit of `numbers_BN`; 2 or more."""


@dataclass(frozen=True, kw_only=True)
class CategoryInput:
    """One column of `codes_BC`."""

    name: str
    """Raw column, with the part of a time."""
    codes: int
    """Codes are 0 (unknown), 1 (missing) and one per known category or hash bucket: integers from 0 to under this."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a network is called with, and the shape that it must give back.

    A network is an nn.Module called as `network(numbers_BN, missing_BN, codes_BC)`: float32 numbers, centred and
    scaled by training statistics, 0 where missing; float32 flags, 1 where missing; int32 category codes. It returns
    outputs of shape (rows, outputs), or (rows, members, outputs) for an ensemble in one module: one logit (binary),
    a logit per class (multiclass), or one value in units of the target's deviation from its mean (regression).
    """

    task: str
    """"binary", "multiclass" or "regression"."""
    classes: tuple[str, ...]
    """Class names in the order of their indices; empty for regression."""
    outputs: int
    """Numbers per row: classes for multiclass, else 1."""
    numbers: tuple[NumberInput, ...]
    """In the order of `numbers_BN` and `missing_BN`."""
    categories: tuple[CategoryInput, ...]
    """In the order of `codes_BC`."""


def schema_of(preprocessor: Preprocessor) -> Schema:
    """Return the schema of the rows that `preprocessor` encodes and of the target that it learned."""
    numbers = [
        NumberInput(
            name=number.label(column.name),
            has_missing=column.missing > 0 and number.indicator,
            edges=tuple(number.scaled(np.array(number.edges)).tolist()),
        )
        for column in preprocessor.used
        for number in column.numbers
    ]
    categories = [
        CategoryInput(name=coded.name, codes=len(coded.vocabulary) + FIRST_CATEGORY) for coded in preprocessor.coded
    ]
    return Schema(
        task=preprocessor.task,
        classes=preprocessor.classes,
        outputs=len(preprocessor.classes) if preprocessor.task == "multiclass" else 1,
        numbers=tuple(numbers),
        categories=tuple(categories),
    )
