"""A model is promoted when it beats a guess and meets every limit, and only then."""

import pytest

from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.decision import decide

GUESS = {"roc_auc": 0.5, "accuracy": 0.6}


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
    assert decide("binary", scores, GUESS, config).verdict == verdict


def test_for_errors_less_than_the_guess_is_better() -> None:
    assert decide("regression", {"rmse": 5.0}, {"rmse": 9.0}, EvaluationConfig()).verdict == "promote"
    assert decide("regression", {"rmse": 9.5}, {"rmse": 9.0}, EvaluationConfig()).verdict == "hold"


def test_the_reason_names_every_condition_that_failed_and_what_was_found() -> None:
    config = EvaluationConfig(minimum={"accuracy": 0.95, "roc_auc": 0.99})
    decision = decide("binary", {"roc_auc": 0.9, "accuracy": 0.8}, GUESS, config)
    assert "Accuracy at least 0.9500 is required; it is 0.8000" in decision.reason
    assert "ROC AUC at least 0.9900 is required; it is 0.9000" in decision.reason
    assert [rule.passed for rule in decision.rules] == [True, False, False]


def test_the_reason_of_a_promotion_compares_with_the_guess() -> None:
    decision = decide("binary", {"roc_auc": 0.9, "accuracy": 0.8}, GUESS, EvaluationConfig(minimum={"accuracy": 0.7}))
    assert decision.reason == "ROC AUC is 0.9000, against 0.5000 for a guess, and its limit is met."
