"""Settings of validation: rules that a table must meet beyond those that hold for all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ropewalk.errors import ConfigError, nearest

SEVERITIES = ("error", "warning")
"""An error stops the pipeline; a warning does not."""
CHECKS = (
    *("allowed", "unique", "required", "ranges", "max_null_share"),
    *("infinite", "empty", "constant", "identifier", "leak", "duplicates"),
    *("schema: dtype", "schema: nullable", "schema: unique", "schema: required", "schema: strict"),
    *("drift: added", "drift: removed", "drift: type", "drift: missing", "drift: new", "drift: vanished"),
    *("drift: psi", "drift: ks"),
)
"""Checks whose severity can be chosen; those of a schema that are not here have `raise_warning` in the schema."""


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
    severity: dict[str, str] = field(default_factory=dict)
    """Check as the report names it, such as "drift: new", or one of a column ("unique/id") -> "error" or "warning"."""

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
        _check_severities(self.severity)

    def severity_of(self, check: str, column: str, usual: str) -> str:
        """Return the severity chosen for a check of a column, else that of the check everywhere, else `usual`."""
        return self.severity.get(f"{check}/{column}", self.severity.get(check, usual))


def _check_severities(chosen: Mapping[str, str]) -> None:
    for place, severity in chosen.items():
        check = place.partition("/")[0]
        if check not in CHECKS:
            raise ConfigError(
                f"severity names {check!r}, which is no check to choose it for.{nearest(check, CHECKS)} "
                f"Known: {', '.join(CHECKS)}."
            )
        if severity not in SEVERITIES:
            raise ConfigError(f"severity[{place!r}]={severity!r}: need one of {', '.join(SEVERITIES)}.")
