"""Numbers as people read them."""

from collections.abc import Sequence

_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def number(value: float) -> str:
    """Return `value` with four significant digits or so and thousands separators; counts whole."""
    if isinstance(value, int):
        return _minus(f"{value:,}")
    magnitude = abs(value)
    if magnitude >= 1e9 or 0 < magnitude < 1e-4:
        return _minus(f"{value:.3e}")
    decimals = (magnitude <= 1) + sum(magnitude < bound for bound in (10, 100, 1000))
    return _minus(f"{value:,.{decimals}f}")


def aligned(values: Sequence[float]) -> list[str]:
    """Return numbers that are read together, all with the decimals that the largest of them has in `number`."""
    shown = number(max((abs(float(value)) for value in values), default=0.0))
    if "e" in shown:
        return [number(value) for value in values]
    decimals = len(shown.partition(".")[2])
    return [_minus(f"{round(float(value), decimals) + 0.0:,.{decimals}f}") for value in values]


def signed(shown: str) -> str:
    """Return a formatted number with its sign also when it is positive."""
    return shown if shown.startswith("\N{MINUS SIGN}") or not shown.strip("0.") else f"+{shown}"


def _minus(shown: str) -> str:
    return shown.replace("-", "\N{MINUS SIGN}")


def count(value: int) -> str:
    """Return a whole number with thousands separators."""
    return f"{value:,}"


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal: 0.123 is "12.3 %"."""
    return f"{100 * share:.1f}\N{NARROW NO-BREAK SPACE}%"


def duration(seconds: float) -> str:
    """Return a length of time in the units that a person would use."""
    if seconds < 1:
        return f"{1000 * seconds:.{0 if seconds >= 0.01 else 1}f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(amount: float) -> str:
    """Return a number of bytes in decimal units."""
    for unit, name in _SIZES:
        if amount >= unit:
            return f"{amount / unit:.1f} {name}"
    return f"{amount:.0f} bytes"


def short(digest: str) -> str:
    """Return the first 12 characters of a digest, enough to tell two apart; "sha256:" and the like stay before them."""
    kind, colon, rest = digest.rpartition(":")
    return f"{kind}{colon}{rest[:12]}"
