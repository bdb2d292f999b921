"""What validation finds."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, or odd, with the table."""

    severity: str
    """ "error" or "warning": an error stops the pipeline; a warning does not."""
    rule: str
    """A word or two for what was checked, such as "mixed types"."""
    column: str
    """The column it is about; "" for the table."""
    message: str
    """What is wrong, what was found and what to do."""


def rows(amount: int) -> str:
    """Return a number of rows in words: "1 row", "9,430 rows"."""
    return "1 row" if amount == 1 else f"{amount:,} rows"


def error(rule: str, column: str, message: str) -> Finding:
    """Return a finding that stops the pipeline."""
    return Finding(severity="error", rule=rule, column=column, message=message)


def warning(rule: str, column: str, message: str) -> Finding:
    """Return a finding that a person should know of."""
    return Finding(severity="warning", rule=rule, column=column, message=message)
