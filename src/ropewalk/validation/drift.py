"""How a table differs from a reference version of it: columns, missing values, categories, distributions."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ropewalk.validation.columns import is_identifier
from ropewalk.validation.config import ValidationConfig
from ropewalk.validation.findings import Finding, error, warning
from ropewalk.validation.profile import Profile

Numbers = NDArray[np.float64]

_BINS = 10
_MOST_CATEGORIES = 1000
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One column, now and in the reference."""

    now: Profile
    before: Profile
    psi: float | None = None
    """Population stability index; None where it says nothing: times, identifiers, texts that hardly repeat."""
    psi_noise: float = 0.0
    """What the index stays below, 999 times in 1,000, when both tables come from the same source."""
    ks: float | None = None
    """Largest distance between the two cumulative distributions, 0 to 1; None for categories."""
    ks_noise: float = 0.0
    """What the distance stays below, 999 times in 1,000, when both come from the same source."""
    new: tuple[str, ...] = ()
    """Categories that the reference does not have."""
    vanished: tuple[str, ...] = ()
    """Categories that only the reference has."""

    @property
    def null_change(self) -> float:
        """Share of missing values now, less that in the reference."""
        return self.now.nulls / self.now.rows - self.before.nulls / self.before.rows


def compare(now: Mapping[str, Profile], before: Mapping[str, Profile]) -> list[Shift]:
    """Return how each column that both tables have, with the same type, has changed."""
    both = [name for name in now if name in before and _same_kind(now[name], before[name])]
    return [_shift(now[name], before[name]) for name in both]


def _same_kind(one: Profile, other: Profile) -> bool:
    return one.type == other.type or (one.is_numeric and other.is_numeric)


def _shift(now: Profile, before: Profile) -> Shift:
    nothing = Shift(now=now, before=before)
    if not now.is_simple or is_identifier(now) or is_identifier(before):
        return nothing
    if now.is_numeric:
        return _shift_of_numbers(now, before) if len(now.finite) and len(before.finite) else nothing
    both_counted = all(side.counts and side.distinct <= _MOST_CATEGORIES for side in (now, before))
    return _shift_of_categories(now, before) if both_counted and now.low is None else nothing


def _shift_of_numbers(now: Profile, before: Profile) -> Shift:
    edges = np.unique(np.quantile(before.finite, np.arange(1, _BINS) / _BINS))
    counts, expected = (
        np.bincount(np.searchsorted(edges, side.finite), minlength=len(edges) + 1) for side in (now, before)
    )
    return Shift(
        now=now,
        before=before,
        psi=psi(counts, expected),
        psi_noise=psi_noise(counts, expected),
        ks=kolmogorov_smirnov(now.finite, before.finite),
        ks_noise=1.95 * math.sqrt(1 / len(now.finite) + 1 / len(before.finite)),
    )


def _shift_of_categories(now: Profile, before: Profile) -> Shift:
    names = list(dict.fromkeys([*before.counts, *now.counts]))
    counts, expected = (np.array([side.counts.get(name, 0) for name in names]) for side in (now, before))
    return Shift(
        now=now,
        before=before,
        psi=psi(counts, expected),
        psi_noise=psi_noise(counts, expected),
        new=tuple(str(name) for name in now.counts if name not in before.counts),
        vanished=tuple(str(name) for name in before.counts if name not in now.counts),
    )


def psi(counts: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    """Return the population stability index of counts per bin against those of the reference.

    The sum over the bins of (share - reference share) * ln(share / reference share); below 0.1 little has changed,
    above 0.25 much has: N. Siddiqi, Credit Risk Scorecards, Wiley 2006. Half a row is added to every bin, so that an
    empty one does not make the index infinite.
    """
    share, reference = ((side + 0.5) / (side.sum() + 0.5 * len(side)) for side in (counts, expected))
    return float(np.sum((share - reference) * np.log(share / reference)))


def psi_noise(counts: NDArray[np.int64], expected: NDArray[np.int64]) -> float:
    """Return the 99.9 % quantile of the index of two samples of these sizes from one distribution.

    It is that of chi-squared with one degree of freedom less than bins, times 1/n + 1/m (B. Yurdakul, J. Naranjo,
    Statistical properties of the population stability index, Journal of Risk Model Validation 14, 2020); chi-squared
    by the approximation of Wilson and Hilferty, 1931.
    """
    freedom = max(len(counts) - 1, 1)
    ninth = 2 / (9 * freedom)
    chi_squared = freedom * (1 - ninth + 3.0902 * math.sqrt(ninth)) ** 3
    return float(chi_squared * (1 / max(counts.sum(), 1) + 1 / max(expected.sum(), 1)))


def kolmogorov_smirnov(now: Numbers, before: Numbers) -> float:
    """Return the largest distance between the cumulative distributions of two samples, 0 to 1."""
    one, other = np.sort(now), np.sort(before)
    points = np.concatenate([one, other])
    distances = [np.searchsorted(side, points, side="right") / len(side) for side in (one, other)]
    return float(np.max(np.abs(distances[0] - distances[1])))


def check_drift(
    now: Mapping[str, Profile], before: Mapping[str, Profile], shifts: list[Shift], config: ValidationConfig
) -> Iterator[Finding]:
    """Yield what has changed enough against the reference to be told.

    Only the size of an effect counts, and only where it is more than chance: with many rows anything is significant.
    """
    for name in [*now, *(name for name in before if name not in now)]:
        if name in config.drift_ignore:
            continue
        if name not in before:
            yield warning("drift: added", name, f"the column {name!r} is new: the reference does not have it.")
        elif name not in now:
            yield warning("drift: removed", name, f"the column {name!r} of the reference is no longer there.")
        elif not _same_kind(now[name], before[name]):
            kinds = f"{now[name].type} now, {before[name].type} in the reference"
            yield warning("drift: type", name, f"the column {name!r} has another type: {kinds}.")
    for shift in shifts:
        if shift.now.name not in config.drift_ignore:
            yield from _check_shift(shift, config)


def _check_shift(shift: Shift, config: ValidationConfig) -> Iterator[Finding]:
    name = shift.now.name
    if abs(shift.null_change) > config.null_share_change:
        shares = [f"{side.nulls / side.rows:.1%}" for side in (shift.now, shift.before)]
        yield warning(
            "drift: missing",
            name,
            f"the column {name!r} is missing in {shares[0]} of the rows, in the reference in {shares[1]}.",
        )
    if shift.new:
        yield warning("drift: new", name, f"the column {name!r} has categories that are new: {_some(shift.new)}.")
    if shift.vanished:
        lost = _some(shift.vanished)
        yield warning("drift: vanished", name, f"the column {name!r} has lost categories of the reference: {lost}.")
    if shift.psi is not None and shift.psi > max(config.psi_warning, shift.psi_noise):
        refused = shift.psi > config.psi_error
        limit = config.psi_error if refused else config.psi_warning
        setting = "psi_error" if refused else "psi_warning"
        yield (error if refused else warning)(
            "drift: psi",
            name,
            f"the values of the column {name!r} have shifted: the population stability index is {shift.psi:.3f}, above "
            f"validation.{setting} = {limit:g}. Find out why; if it is meant, raise the limit or name the column in "
            "validation.drift_ignore.",
        )
    if shift.ks is not None and shift.ks > max(config.ks_warning, shift.ks_noise):
        yield warning(
            "drift: ks",
            name,
            f"the values of the column {name!r} have shifted: the Kolmogorov-Smirnov distance is {shift.ks:.3f}, above "
            f"validation.ks_warning = {config.ks_warning:g}.",
        )


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return ", ".join(repr(name) for name in names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
