"""Settings of preprocessing."""

from dataclasses import dataclass, field

from ropewalk.errors import ConfigError, nearest

NUMERIC = "numeric"
CATEGORICAL = "categorical"
DATETIME = "datetime"
BOOLEAN = "boolean"
HASHED = "hashed"
TEXT = "text"
IGNORED = "ignored"

ROLES = (NUMERIC, CATEGORICAL, DATETIME, BOOLEAN, HASHED, TEXT, IGNORED)
SCALINGS = ("robust", "standard", "quantile")
IMPUTATIONS = ("median", "mean")
ANSWERS = ("warn", "fail")
TIME_PARTS = (
    *("year", "month", "day", "day_of_week", "day_of_year", "hour", "days"),
    *("month_sin", "month_cos", "day_of_week_sin", "day_of_week_cos"),
    *("day_of_year_sin", "day_of_year_cos", "hour_sin", "hour_cos"),
)


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """How to split a table and how to read its columns."""

    validation_fraction: float = 0.15
    """Share of rows that choose the best epoch, in (0, 1)."""
    test_fraction: float = 0.15
    """Share of rows that the model never sees before evaluation, in (0, 1)."""
    key_column: str = ""
    """Rows with equal values here fall into the same split; empty: rows with equal features do."""
    split_column: str = ""
    """A column that says "train", "validation" or "test" in every row; empty: by time or hash."""
    function: str = ""
    """Your own "module:function", applied to every batch of raw rows as a pandas DataFrame before anything else, in
    training and in serving: returns a DataFrame with one row per row, in the same order."""
    roles: dict[str, str] = field(default_factory=dict)
    """Role of single columns, whatever was inferred: column name to numeric, categorical, datetime, boolean, hashed,
    text or ignored."""
    ignore: tuple[str, ...] = ()
    """Columns that the model must not see."""
    numeric: tuple[str, ...] = ()
    """Columns to read as numbers, whatever was inferred."""
    categorical: tuple[str, ...] = ()
    """Columns to read as categories, whatever was inferred."""
    scaling: str = "robust"
    """"robust" (median and interquartile range), "standard" (mean and standard deviation) or "quantile" (to a normal
    distribution by the training rows' quantiles)."""
    scaling_by_column: dict[str, str] = field(default_factory=dict)
    """Scaling of single columns."""
    impute: str = "median"
    """What stands for a missing number: "median" or "mean" of the training rows."""
    impute_by_column: dict[str, str] = field(default_factory=dict)
    """Imputation of single columns."""
    missing_indicator: bool = True
    """Whether the model is told which numbers were missing."""
    max_categories: int = 20_000
    """Most categories kept per column. At least 1; for a column with more see `above_max_categories`."""
    above_max_categories: str = "hash"
    """A column with more values: "hash" puts them into `hash_buckets`, "unknown" keeps the most frequent ones."""
    hash_buckets: int = 32_768
    """Buckets of a hashed column; values that share one look alike. In 2..16,777,216."""
    min_count: int = 1
    """Training rows that a category must have; rarer ones count as unknown, together with new ones. At least 1."""
    integer_categories: int = 512
    """Integer columns, and parts of times, of at most this many distinct values enter as categories too; 0: none."""
    quantile_bins: int = 48
    """Bins per numeric column, at quantiles of the training rows, for its piecewise-linear embedding; in 2..256."""
    datetime_parts: tuple[str, ...] = ("hour", "day_of_week", "day_of_year")
    """Numbers taken from a point in time (UTC where it has a time zone): "year", "month", "day", "day_of_week",
    "day_of_year", "hour", "days" (since 1970), and cyclic ones such as "hour_sin" and "hour_cos"."""
    shared_keys: str = "warn"
    """"warn" or "fail" when a value of `key_column` is in two splits (after a split by time or by `split_column`)."""
    target_copies: str = "warn"
    """"warn" or "fail" when a feature is the target under another name."""
    repeated_rows: str = "warn"
    """"warn" or "fail" when rows of one split repeat rows of another in every feature."""

    def __post_init__(self) -> None:
        self._check_shares()
        self._check_numbers()
        self._check_choices()
        self._check_names()

    def role_of(self, name: str) -> tuple[str, str] | None:
        """Return the role that the settings give the column `name`, and the setting; None when they give none."""
        if name in self.roles:
            return self.roles[name], "roles"
        for setting, role in (("ignore", IGNORED), ("numeric", NUMERIC), ("categorical", CATEGORICAL)):
            if name in getattr(self, setting):
                return role, setting
        return None

    def _check_shares(self) -> None:
        for name in ("validation_fraction", "test_fraction"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ConfigError(f"{name}={value}: need a share between 0 and 1.")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"validation_fraction={self.validation_fraction} and test_fraction={self.test_fraction} "
                "leave no rows to train on: their sum must be under 1."
            )

    def _check_numbers(self) -> None:
        for name, least, most in (
            ("max_categories", 1, None),
            ("min_count", 1, None),
            ("integer_categories", 0, None),
            ("hash_buckets", 2, 2**24),
            ("quantile_bins", 2, 256),
        ):
            value = getattr(self, name)
            if value < least or (most is not None and value > most):
                need = f"{least} or more" if most is None else f"{least} to {most:,}"
                raise ConfigError(f"{name}={value}: need {need}.")

    def _check_choices(self) -> None:
        choices = [
            ("scaling", self.scaling, SCALINGS),
            ("impute", self.impute, IMPUTATIONS),
            ("above_max_categories", self.above_max_categories, ("hash", "unknown")),
            ("shared_keys", self.shared_keys, ANSWERS),
            ("target_copies", self.target_copies, ANSWERS),
            ("repeated_rows", self.repeated_rows, ANSWERS),
            *((f"roles[{name!r}]", role, ROLES) for name, role in self.roles.items()),
            *((f"scaling_by_column[{name!r}]", value, SCALINGS) for name, value in self.scaling_by_column.items()),
            *((f"impute_by_column[{name!r}]", value, IMPUTATIONS) for name, value in self.impute_by_column.items()),
            *(("datetime_parts", part, TIME_PARTS) for part in self.datetime_parts),
        ]
        for name, value, known in choices:
            if value not in known:
                raise ConfigError(f"{name}={value!r}: need one of {', '.join(known)}.{nearest(value, known)}")
        if self.function.count(":") != bool(self.function):
            raise ConfigError(f"function={self.function!r}: need the form 'module:function'.")

    def _check_names(self) -> None:
        twice = sorted(set(self.numeric) & set(self.categorical))
        if twice:
            raise ConfigError(f"numeric and categorical both name {', '.join(twice)}: a column has one role.")
        named = sorted(set(self.roles) & {*self.ignore, *self.numeric, *self.categorical})
        if named:
            raise ConfigError(f"roles and another setting both name {', '.join(named)}: a column has one role.")
