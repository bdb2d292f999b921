"""Settings of preprocessing."""

from dataclasses import dataclass

from ropewalk.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """How to split a table and how to read its columns."""

    validation_fraction: float = 0.15
    """Share of rows that choose the best epoch, in (0, 1)."""
    test_fraction: float = 0.15
    """Share of rows that the model never sees before evaluation, in (0, 1)."""
    key_column: str = ""
    """Rows with equal values here fall into the same split; empty: rows with equal features do."""
    ignore: tuple[str, ...] = ()
    """Columns that the model must not see."""
    numeric: tuple[str, ...] = ()
    """Columns to read as numbers, whatever was inferred."""
    categorical: tuple[str, ...] = ()
    """Columns to read as categories, whatever was inferred."""
    max_categories: int = 20_000
    """Most categories kept per column, the most frequent ones; the rest count as unknown. At least 1."""
    integer_categories: int = 512
    """Integer columns with at most this many distinct values enter as categories too; 0: none do."""
    quantile_bins: int = 48
    """Bins per numeric column, at quantiles of the training rows, for its piecewise-linear embedding; in 2..256."""

    def __post_init__(self) -> None:
        for name in ("validation_fraction", "test_fraction"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ConfigError(f"{name}={value}: need a share between 0 and 1.")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"validation_fraction={self.validation_fraction} and test_fraction={self.test_fraction} "
                "leave no rows to train on: their sum must be under 1."
            )
        if self.max_categories < 1:
            raise ConfigError(f"max_categories={self.max_categories}: need at least 1.")
        if self.integer_categories < 0:
            raise ConfigError(f"integer_categories={self.integer_categories}: need 0 or more.")
        if not 2 <= self.quantile_bins <= 256:
            raise ConfigError(f"quantile_bins={self.quantile_bins}: need 2 to 256.")
        twice = sorted(set(self.numeric) & set(self.categorical))
        if twice:
            raise ConfigError(f"numeric and categorical both name {', '.join(twice)}: a column has one role.")
