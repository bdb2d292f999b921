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


def decide(task: str, scores: Mapping[str, float], trivial: Mapping[str, float], config: EvaluationConfig) -> Decision:
    """Return "promote" when all limits are met and the headline metric beats the trivial baseline."""
    best = headline(task)
    value, guess = scores[best.name], trivial[best.name]
    beaten = gain(best, value, guess) > 0
    rules = [Rule(rule=f"{best.title} better than a guess", value=value, limit=guess, passed=beaten)]
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
