"""Whether a model is good enough to promote: limits set by its owner, and better than guessing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ropewalk.evaluation.catalog import METRICS, gain, headline
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.report.format import aligned, number


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One condition and what was found."""

    rule: str
    """The condition in words."""
    value: float
    limit: float
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The verdict on a model."""

    verdict: Literal["promote", "hold"]
    reason: str
    """One sentence."""
    rules: list[Rule]


def decide(
    task: str,
    scores: Mapping[str, float],
    trivial: Mapping[str, float],
    *,
    interval: tuple[float, float],
    config: EvaluationConfig,
) -> Decision:
    """Return "promote" when all limits are met and the headline metric beats the trivial baseline beyond doubt.

    Args:
        task: "binary", "multiclass" or "regression".
        scores: The model's metrics.
        trivial: The trivial baseline's metrics.
        interval: 95 % interval of the headline metric; its worse end must beat the baseline.
        config: The owner's limits.
    """
    best = headline(task)
    value, guess = scores[best.name], trivial[best.name]
    worst = interval[1] if best.lower_is_better else interval[0]
    beaten = gain(best, worst, guess) > 0
    condition = f"{best.title} better than a guess, at the worse end of its 95 % interval"
    rules = [Rule(rule=condition, value=worst, limit=guess, passed=beaten)]
    for name, limit in config.minimum.items():
        rule = f"{METRICS[name].title} at least {number(limit)}"
        rules.append(Rule(rule=rule, value=scores[name], limit=limit, passed=scores[name] >= limit))
    for name, limit in config.maximum.items():
        rule = f"{METRICS[name].title} at most {number(limit)}"
        rules.append(Rule(rule=rule, value=scores[name], limit=limit, passed=scores[name] <= limit))
    failed = [rule for rule in rules if not rule.passed]
    if failed:
        return Decision(verdict="hold", reason=_shortfalls(failed), rules=rules)
    limits = len(rules) - 1
    met = {0: "", 1: ", and its limit is met"}.get(limits, f", and all {limits} limits are met")
    shown = aligned([value, guess])
    reason = f"{best.title} is {shown[0]}, against {shown[1]} for a guess{met}."
    return Decision(verdict="promote", reason=reason, rules=rules)


def _shortfalls(failed: list[Rule]) -> str:
    parts = [f"{rule.rule} is required; it is {number(rule.value)}" for rule in failed]
    return f"{'. '.join(parts)}."
