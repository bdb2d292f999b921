"""Settings of validation: rules that a table must meet beyond those that hold for all."""

from dataclasses import dataclass, field

from ropewalk.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """What the table must look like."""

    min_rows: int = 50
    """Fewest rows with a target, at least 2."""
    max_null_share: float = 1.0
    """Largest share of missing values in any column, in [0, 1]."""
    required: tuple[str, ...] = ()
    """Columns that must be there and have a value in every row."""
    unique: tuple[str, ...] = ()
    """Columns in which no value may occur twice."""
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Column of numbers -> (lowest, highest) value, both allowed; missing values pass."""
    allowed: dict[str, tuple[str | float, ...]] = field(default_factory=dict)
    """Column -> the only values that it may have; missing values pass."""
    allow_mixed: tuple[str, ...] = ()
    """Text columns of which most values are numbers, and which are meant so: they count as categories."""

    def __post_init__(self) -> None:
        if self.min_rows < 2:
            raise ConfigError(f"min_rows={self.min_rows}: need at least 2.")
        if not 0 <= self.max_null_share <= 1:
            raise ConfigError(f"max_null_share={self.max_null_share}: need a share between 0 and 1.")
        for column, (low, high) in self.ranges.items():
            if not low <= high:
                raise ConfigError(f"ranges[{column!r}]=({low}, {high}): need (lowest, highest).")
        for column, values in self.allowed.items():
            if not values:
                raise ConfigError(f"allowed[{column!r}] is empty: name at least one value.")
