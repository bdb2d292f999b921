"""A model is promoted when it meets every rule, and only then; every rule is told with value, limit and verdict."""

from dataclasses import replace

import pytest

from ropewalk.evaluation.champion import Champion
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.decision import Decision, Findings, decide
from ropewalk.evaluation.slices import Slice
from ropewalk.evaluation.speed import Speed

SPEED = Speed(
    rows_per_second=50_000,
    row_seconds=0.004,
    slow_row_seconds=0.006,
    batch_seconds=0.03,
    batch_rows=1000,
    model_bytes=2_500_000,
)
CHAMPION = Champion(version="3", run_id="r1", digest="d" * 64, problem="", predicted=None, seconds=9.0)
ALONE = Findings(
    task="binary",
    scores={"roc_auc": 0.9, "accuracy": 0.8, "log_loss": 0.4},
    interval=(0.89, 0.91),
    guess=0.5,
    champion=None,
    champion_score=None,
    ahead=None,
    slices=[],
    calibration_error=0.04,
    speed=SPEED,
)
COMPARED = replace(ALONE, champion=CHAMPION, champion_score=0.8, ahead=(0.1, 0.05, 0.15))
DAMAGED = replace(ALONE, champion=replace(CHAMPION, problem="Its weights have changed."))


def decided(found: Findings = ALONE, **settings: object) -> Decision:
    return decide(found, EvaluationConfig(**settings), test_digest="t" * 64)


def part(name: str, value: float, *, champion: float | None = None, error: float = 0.01) -> Slice:
    gain = None if champion is None else value - champion
    known = {"champion": champion, "gain": gain, "gain_error": None if champion is None else error}
    return Slice(column="colour", part=name, rows=200, value=value, low=value - 0.02, high=value + 0.02, **known)


@pytest.mark.parametrize(
    ("found", "settings", "verdict"),
    [
        (ALONE, {}, "promote"),
        (replace(ALONE, scores={"roc_auc": 0.5}, interval=(0.49, 0.51)), {}, "hold"),
        (ALONE, {"minimum": {"roc_auc": 0.9}}, "promote"),
        (ALONE, {"minimum": {"roc_auc": 0.91}}, "hold"),
        (ALONE, {"maximum": {"log_loss": 0.4}}, "promote"),
        (ALONE, {"maximum": {"log_loss": 0.3}}, "hold"),
        (ALONE, {"calibration_limit": 0.04}, "promote"),
        (ALONE, {"calibration_limit": 0.03}, "hold"),
        (ALONE, {"row_milliseconds": 4.0}, "promote"),
        (ALONE, {"row_milliseconds": 3.9}, "hold"),
        (ALONE, {"batch_milliseconds": 30.0}, "promote"),
        (ALONE, {"batch_milliseconds": 29.0}, "hold"),
        (ALONE, {"model_megabytes": 2.5}, "promote"),
        (ALONE, {"model_megabytes": 2.4}, "hold"),
    ],
)
def test_limits_and_budgets(found: Findings, settings: dict[str, object], verdict: str) -> None:
    assert decided(found, **settings).verdict == verdict


@pytest.mark.parametrize(
    ("ahead", "rule", "verdict"),
    [
        ((0.02, 0.01, 0.03), "superior", "promote"),
        ((0.02, -0.001, 0.04), "superior", "hold"),
        ((0.0, 0.0, 0.0), "superior", "hold"),
        ((0.0, 0.0, 0.0), "non_inferior", "promote"),
        ((0.0, -0.007, 0.007), "non_inferior", "promote"),
        ((0.0, -0.009, 0.009), "non_inferior", "hold"),
        ((-0.05, -0.06, -0.04), "non_inferior", "hold"),
    ],
)
def test_the_worse_end_of_the_paired_interval_decides_against_the_champion(
    ahead: tuple[float, float, float], rule: str, verdict: str
) -> None:
    assert decided(replace(COMPARED, ahead=ahead), against_champion=rule).verdict == verdict


def test_the_margin_is_a_share_of_the_champions_value() -> None:
    found = replace(COMPARED, ahead=(-0.02, -0.03, -0.01))
    assert decided(found, margin=0.05).verdict == "promote"
    held = decided(found, margin=0.03)
    assert held.verdict == "hold"
    assert (held.rules[1].value, held.rules[1].limit) == (-0.03, pytest.approx(-0.024))


def test_the_first_model_is_promoted_without_a_comparison() -> None:
    decision = decided()
    assert (decision.verdict, decision.champion) == ("promote", None)
    assert [rule.rule for rule in decision.rules] == [
        "ROC AUC better than a guess, at the worse end of its 95 % interval"
    ]
    assert decision.reason == (
        "ROC AUC is 0.9000, against 0.5000 for a guess; there is no champion yet. The condition is met."
    )


def test_a_champion_that_cannot_be_compared_with_holds_the_model_unless_told_otherwise() -> None:
    held = decided(DAMAGED)
    assert held.verdict == "hold"
    assert held.reason == (
        "The champion, version 3, cannot be compared with, so a person should decide. Its weights have changed."
    )
    assert (held.rules[1].value, held.rules[1].limit, held.rules[1].passed) == (None, None, False)
    promoted = decided(DAMAGED, incomparable_champion="promote")
    assert promoted.verdict == "promote"
    assert "the champion, version 3, cannot be compared with" in promoted.reason


def test_the_decision_names_the_champion_and_the_test_rows() -> None:
    decision = decided(COMPARED)
    assert decision.champion == {"version": "3", "run_id": "r1", "digest": "d" * 64, "problem": ""}
    assert decision.test_digest == "t" * 64
    assert "against 0.8000 for the champion, version 3" in decision.reason


def test_the_worst_slice_must_reach_its_limit() -> None:
    found = replace(ALONE, slices=[part("red", 0.7), part("blue", 0.8)])
    assert decided(found, slice_limit=0.7).verdict == "promote"
    held = decided(found, slice_limit=0.71)
    assert held.verdict == "hold"
    assert "(worst: colour, red) is required; it is 0.7000" in held.reason


def test_a_slice_limit_without_any_slice_is_not_met() -> None:
    held = decided(slice_limit=0.7)
    assert held.verdict == "hold"
    assert "no slice has rows enough" in held.reason
    assert "cannot be checked" in held.reason


def test_a_slice_that_got_worse_beyond_doubt_holds_the_model() -> None:
    good = [part("blue", 0.9, champion=0.85)] * 20
    assert decided(replace(COMPARED, slices=[*good, part("red", 0.6, champion=0.85)])).verdict == "hold"
    doubtful = part("red", 0.6, champion=0.85, error=0.1)
    assert decided(replace(COMPARED, slices=[*good, doubtful])).verdict == "promote"
    assert decided(replace(COMPARED, slices=[part("red", 0.6, champion=0.85)]), slice_margin=None).verdict == "promote"


def test_doubt_grows_with_the_number_of_slices_looked_at() -> None:
    worse = part("red", 0.75, champion=0.85, error=0.025)
    assert decided(replace(COMPARED, slices=[worse])).verdict == "hold"
    assert decided(replace(COMPARED, slices=[worse, *[part("blue", 0.9, champion=0.85)] * 40])).verdict == "promote"


def test_for_errors_less_is_better() -> None:
    found = replace(ALONE, task="regression", scores={"rmse": 5.0}, guess=9.0, calibration_error=None)
    for interval, verdict in (((4.0, 6.0), "promote"), ((4.0, 9.5), "hold")):
        assert decided(replace(found, interval=interval)).verdict == verdict
    sliced = replace(found, interval=(4.0, 6.0), slices=[part("red", 8.0)])
    assert decided(sliced, slice_limit=8.0).verdict == "promote"
    assert decided(sliced, slice_limit=7.9).verdict == "hold"


def test_the_reason_names_every_condition_that_failed_and_what_was_found() -> None:
    decision = decided(minimum={"accuracy": 0.95, "roc_auc": 0.99})
    assert "Accuracy at least 0.9500 is required; it is 0.8000." in decision.reason
    assert "ROC AUC at least 0.9900 is required; it is 0.9000." in decision.reason
    assert [rule.passed for rule in decision.rules] == [True, False, False]


def test_a_score_that_may_be_a_guess_by_chance_is_held() -> None:
    assert decided(replace(ALONE, interval=(0.51, 0.55))).verdict == "promote"
    held = decided(replace(ALONE, interval=(0.36, 0.70)))
    assert held.verdict == "hold"
    assert "worse end of its 95 % interval is required; it is 0.3600" in held.reason
