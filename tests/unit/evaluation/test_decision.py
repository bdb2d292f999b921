"""A model is promoted when it beats a guess and meets every limit, and only then."""

import pytest

from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.decision import decide

GUESS = {"roc_auc": 0.5, "accuracy": 0.6}


def around(value: float) -> tuple[float, float]:
    return value - 0.01, value + 0.01


@pytest.mark.parametrize(
    ("scores", "config", "verdict"),
    [
        ({"roc_auc": 0.9, "accuracy": 0.8}, EvaluationConfig(), "promote"),
        ({"roc_auc": 0.5, "accuracy": 0.8}, EvaluationConfig(), "hold"),
        ({"roc_auc": 0.4, "accuracy": 0.8}, EvaluationConfig(), "hold"),
        ({"roc_auc": 0.9, "accuracy": 0.8}, EvaluationConfig(minimum={"roc_auc": 0.9}), "promote"),
        ({"roc_auc": 0.9, "accuracy": 0.8}, EvaluationConfig(minimum={"roc_auc": 0.91}), "hold"),
        ({"roc_auc": 0.9, "accuracy": 0.8, "log_loss": 0.4}, EvaluationConfig(maximum={"log_loss": 0.4}), "promote"),
        ({"roc_auc": 0.9, "accuracy": 0.8, "log_loss": 0.4}, EvaluationConfig(maximum={"log_loss": 0.3}), "hold"),
    ],
)
def test_verdicts(scores: dict[str, float], config: EvaluationConfig, verdict: str) -> None:
    assert decide("binary", scores, GUESS, interval=around(scores["roc_auc"]), config=config).verdict == verdict


def test_a_score_that_may_be_a_guess_by_chance_is_held() -> None:
    scores, limits = {"roc_auc": 0.53, "accuracy": 0.6}, EvaluationConfig()
    assert decide("binary", scores, GUESS, interval=(0.51, 0.55), config=limits).verdict == "promote"
    held = decide("binary", scores, GUESS, interval=(0.36, 0.70), config=limits)
    assert held.verdict == "hold"
    assert "worse end of its 95 % interval is required; it is 0.3600" in held.reason


def test_for_errors_less_than_the_guess_is_better() -> None:
    for interval, verdict in (((4.0, 6.0), "promote"), ((4.0, 9.5), "hold")):
        decision = decide("regression", {"rmse": 5.0}, {"rmse": 9.0}, interval=interval, config=EvaluationConfig())
        assert decision.verdict == verdict


def test_the_reason_names_every_condition_that_failed_and_what_was_found() -> None:
    config = EvaluationConfig(minimum={"accuracy": 0.95, "roc_auc": 0.99})
    decision = decide("binary", {"roc_auc": 0.9, "accuracy": 0.8}, GUESS, interval=around(0.9), config=config)
    assert "Accuracy at least 0.9500 is required; it is 0.8000" in decision.reason
    assert "ROC AUC at least 0.9900 is required; it is 0.9000" in decision.reason
    assert [rule.passed for rule in decision.rules] == [True, False, False]


def test_the_reason_of_a_promotion_compares_with_the_guess() -> None:
    config = EvaluationConfig(minimum={"accuracy": 0.7})
    decision = decide("binary", {"roc_auc": 0.9, "accuracy": 0.8}, GUESS, interval=around(0.9), config=config)
    assert decision.reason == "ROC AUC is 0.9000, against 0.5000 for a guess, and its limit is met."
