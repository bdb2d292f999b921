"""Settings of validation: rules that a table must meet beyond those that hold for all."""

from dataclasses import dataclass, field
from typing import Any

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

    schema: dict[str, Any] = field(default_factory=dict)
    """A pandera schema as `ropewalk schema infer` writes it; empty takes the file that lies beside the data, if any."""
    psi_warning: float = 0.1
    """Population stability index against the reference from which a column has shifted, above 0."""
    psi_error: float = 0.2
    """Index from which the table is refused, at least `psi_warning`."""
    ks_warning: float = 0.1
    """Kolmogorov-Smirnov distance to the reference that is told, in (0, 1]."""
    null_share_change: float = 0.05
    """Change of a column's share of missing values against the reference that is told, in (0, 1]."""
    drift_ignore: tuple[str, ...] = ()
    """Columns that may differ from the reference, such as a counter."""

    def __post_init__(self) -> None:
        if self.min_rows < 2:
            raise ConfigError(f"min_rows={self.min_rows}: need at least 2.")
        if not 0 <= self.max_null_share <= 1:
            raise ConfigError(f"max_null_share={self.max_null_share}: need a share between 0 and 1.")
        for column, (low, high) in self.ranges.items():
            if not low <= high:
                raise ConfigError(f"ranges[{column!r}]=({low}, {high}): need (lowest, highest).")
        if not 0 < self.psi_warning <= self.psi_error:
            raise ConfigError(f"psi_warning={self.psi_warning}, psi_error={self.psi_error}: need 0 < warning <= error.")
        for name in ("ks_warning", "null_share_change"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: need a number above 0, at most 1.")
        for column, values in self.allowed.items():
            if not values:
                raise ConfigError(f"allowed[{column!r}] is empty: name at least one value.")
