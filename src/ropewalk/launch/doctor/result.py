"""What one check found."""

from collections.abc import Callable
from dataclasses import dataclass

OK, FAILED, UNKNOWN, SKIPPED = STATES = ("ok", "failed", "unknown", "skipped")
"""It is so; it is not; it cannot be told from here, or by us; the profile does not need it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one check found."""

    check: str
    """What was looked at: "secret git-token"."""
    state: str
    """"ok", "failed", "unknown" or "skipped"."""
    found: str
    """What was found, in one line; never a secret's value."""
    fix: str = ""
    """What to do where it is not ok."""


Check = Callable[[], list[Result]]
"""Looks at one thing, or several of a kind; raises nothing but a RopewalkError."""


def ok(check: str, found: str) -> Result:
    """Return that it is so."""
    return Result(check=check, state=OK, found=found)


def failed(check: str, found: str, *, fix: str) -> Result:
    """Return that it is not so."""
    return Result(check=check, state=FAILED, found=found, fix=fix)


def unknown(check: str, found: str, *, fix: str) -> Result:
    """Return that it cannot be told."""
    return Result(check=check, state=UNKNOWN, found=found, fix=fix)


def skipped(check: str, found: str) -> Result:
    """Return that the profile does not need it."""
    return Result(check=check, state=SKIPPED, found=found)
