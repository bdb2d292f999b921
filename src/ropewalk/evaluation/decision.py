"""Whether a model is good enough to promote: better than a guess and its limits, no worse than the champion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from ropewalk.evaluation.catalog import METRICS, Metric, gain, headline
from ropewalk.evaluation.champion import Champion
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.slices import Slice
from ropewalk.evaluation.speed import Speed
from ropewalk.report.format import aligned, number, percent


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One condition and what was found."""

    rule: str
    """The condition in words."""
    value: float | None
    """None where it could not be found out."""
    limit: float | None
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a decision is made on."""

    task: str
    scores: dict[str, float]
    """The model's metrics."""
    interval: tuple[float, float]
    """95 % interval of its headline metric."""
    guess: float
    """The trivial baseline's headline metric."""
    champion: Champion | None
    """None: there is none yet."""
    champion_score: float | None
    """Its headline metric on the same rows; None: none, or it cannot be compared with."""
    ahead: tuple[float, float, float] | None
    """By how much the model is better than the champion in the headline metric, and the paired 95 % interval."""
    slices: Sequence[Slice]
    """Worst first."""
    calibration_error: float | None
    """None for regression."""
    speed: Speed


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The verdict on a model."""

    verdict: Literal["promote", "hold"]
    reason: str
    """One or a few sentences."""
    rules: list[Rule]
    champion: dict[str, str] | None
    """Version, run_id, digest and problem of the champion that it was compared with; None: there was none."""
    test_digest: str
    """Digest of the test split that both were scored on."""


def decide(found: Findings, config: EvaluationConfig, *, test_digest: str) -> Decision:
    """Return "promote" when every rule is met; a rule that cannot be checked is not met."""
    rules = [
        _better_than_a_guess(found),
        *_limits(found, config),
        *_against_champion(found, config),
        *_slices(found, config),
        *_budgets(found, config),
    ]
    failed = [rule for rule in rules if not rule.passed]
    champion = found.champion.described() if found.champion else None
    return Decision(
        verdict="hold" if failed else "promote",
        reason=_shortfalls(failed, found) if failed else _praise(found, len(rules)),
        rules=rules,
        champion=champion,
        test_digest=test_digest,
    )


def _better_than_a_guess(found: Findings) -> Rule:
    best = headline(found.task)
    worst = _worse_end(best, found.interval)
    condition = f"{best.title} better than a guess, at the worse end of its 95 % interval"
    return Rule(rule=condition, value=worst, limit=found.guess, passed=gain(best, worst, found.guess) > 0)


def _limits(found: Findings, config: EvaluationConfig) -> Iterator[Rule]:
    for name, limit in config.minimum.items():
        value, rule = found.scores[name], f"{METRICS[name].title} at least {number(limit)}"
        yield Rule(rule=rule, value=value, limit=limit, passed=value >= limit)
    for name, limit in config.maximum.items():
        value, rule = found.scores[name], f"{METRICS[name].title} at most {number(limit)}"
        yield Rule(rule=rule, value=value, limit=limit, passed=value <= limit)


def _against_champion(found: Findings, config: EvaluationConfig) -> Iterator[Rule]:
    if found.champion is None:
        return
    version, title = found.champion.version, headline(found.task).title
    if found.ahead is None or found.champion_score is None:
        passed = config.incomparable_champion == "promote"
        yield Rule(rule=f"Comparison with the champion, version {version}", value=None, limit=None, passed=passed)
        return
    worse_end = found.ahead[1]
    if config.against_champion == "superior":
        condition = f"{title} better than the champion's, at the worse end of the difference's 95 % interval"
        yield Rule(rule=condition, value=worse_end, limit=0.0, passed=worse_end > 0)
        return
    limit = -config.margin * abs(found.champion_score)
    condition = (
        f"{title} at most {percent(config.margin)} worse than the champion's, at the worse end of the difference's "
        "95 % interval"
    )
    yield Rule(rule=condition, value=worse_end, limit=limit, passed=worse_end >= limit)


def _slices(found: Findings, config: EvaluationConfig) -> Iterator[Rule]:
    best = headline(found.task)
    if config.slice_limit is not None:
        worst = found.slices[0] if found.slices else None
        place = f" (worst: {worst.column}, {worst.part})" if worst else " (no slice has rows enough)"
        ok = worst is not None and gain(best, worst.value, config.slice_limit) >= 0
        bound = "at most" if best.lower_is_better else "at least"
        condition = f"{best.title} in every slice {bound} {number(config.slice_limit)}{place}"
        yield Rule(rule=condition, value=worst.value if worst else None, limit=config.slice_limit, passed=ok)
    if config.slice_margin is not None and found.ahead is not None and found.slices:
        yield _slice_losses(found.slices, config.slice_margin, best)


def _slice_losses(slices: Sequence[Slice], margin: float, best: Metric) -> Rule:
    """Return the rule that no slice is worse than the champion's beyond doubt.

    Many slices are looked at, and one of them looks bad by chance: the level is divided by their number (Bonferroni).
    """
    doubt = NormalDist().inv_cdf(1 - 0.025 / len(slices))
    shares = [
        ((each.gain + doubt * each.gain_error) / abs(each.champion), each)
        for each in slices
        if each.gain is not None and each.gain_error is not None and each.champion
    ]
    share, worst = min(shares, key=lambda pair: pair[0], default=(0.0, slices[0]))
    condition = (
        f"{best.title} in no slice more than {percent(margin)} worse than the champion's beyond doubt, as a share "
        f"(closest: {worst.column}, {worst.part})"
    )
    return Rule(rule=condition, value=share, limit=-margin, passed=share >= -margin)


def _budgets(found: Findings, config: EvaluationConfig) -> Iterator[Rule]:
    speed = found.speed
    budgets = (
        ("Calibration error", found.calibration_error, config.calibration_limit),
        ("Latency of one row, in milliseconds,", 1000 * speed.row_seconds, config.row_milliseconds),
        (
            f"Latency of {speed.batch_rows:,} rows, in milliseconds,",
            1000 * speed.batch_seconds,
            config.batch_milliseconds,
        ),
        ("Size of the model, in MB,", speed.model_bytes / 1e6, config.model_megabytes),
    )
    for name, value, limit in budgets:
        if limit is not None:
            ok = value is not None and value <= limit
            yield Rule(rule=f"{name} at most {number(limit)}", value=value, limit=limit, passed=ok)


def _worse_end(best: Metric, interval: tuple[float, float]) -> float:
    return interval[1] if best.lower_is_better else interval[0]


def _shortfalls(failed: list[Rule], found: Findings) -> str:
    return " ".join(_shortfall(rule, found.champion) for rule in failed)


def _shortfall(rule: Rule, champion: Champion | None) -> str:
    if rule.value is not None:
        return f"{rule.rule} is required; it is {number(rule.value)}."
    if champion is None or not champion.problem:
        return f"{rule.rule} is required, and cannot be checked."
    return (
        f"The champion, version {champion.version}, cannot be compared with, so a person should decide. "
        f"{champion.problem}"
    )


def _praise(found: Findings, rules: int) -> str:
    title, value = headline(found.task).title, found.scores[headline(found.task).name]
    shown, guess = aligned([value, found.guess])
    compared = f"{title} is {shown}, against {guess} for a guess"
    if found.champion_score is not None and found.champion is not None:
        shown, other = aligned([value, found.champion_score])
        compared = f"{title} is {shown}, against {other} for the champion, version {found.champion.version}"
    elif found.champion is not None:
        compared += f"; the champion, version {found.champion.version}, cannot be compared with"
    else:
        compared += "; there is no champion yet"
    return f"{compared}. {'The condition is' if rules == 1 else f'All {rules} conditions are'} met."
