"""Measure a model on its test rows, beside the champion and baselines, and decide on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ropewalk.evaluation import baselines
from ropewalk.evaluation.calibration import calibration_error
from ropewalk.evaluation.catalog import METRICS, headline
from ropewalk.evaluation.champion import Champion, score_champion
from ropewalk.evaluation.config import EvaluationConfig
from ropewalk.evaluation.curves import curves_of
from ropewalk.evaluation.decision import Findings, decide
from ropewalk.evaluation.importance import Importance, importances
from ropewalk.evaluation.intervals import bootstrap, interval, wilson
from ropewalk.evaluation.metrics import check_truth, score
from ropewalk.evaluation.results import Contender, Difference, Interval, Results
from ropewalk.evaluation.scorers import Array, Floats
from ropewalk.evaluation.slices import Slice, slices
from ropewalk.evaluation.speed import timed_predictions
from ropewalk.evaluation.threshold import OperatingPoint, operating_point
from ropewalk.progress import say
from ropewalk.report.format import duration, number
from ropewalk.training.model import TrainedModel


def measure(
    model: TrainedModel,
    train: pa.Table,
    test: pa.Table,
    *,
    champion: Path | None,
    test_digest: str,
    config: EvaluationConfig,
) -> Results:
    """Return everything that an evaluation finds out.

    Args:
        model: The new model.
        train: Training rows, for the baselines.
        test: Test rows.
        champion: Champion artifact; None: there is none yet.
        test_digest: Digest of the test split, for the decision.
        config: Limits, and what to compare with.

    Raises:
        ArtifactError: The champion artifact is unfinished or altered.
        DataError: The test rows have one class, or one value, only.
        TrainingError: The model predicts something that is no finite number.
    """
    task, best = model.task, headline(model.task)
    truth = model.encode_target(test)
    check_truth(task, truth, model.classes)
    predicted, speed = timed_predictions(model, test)
    seconds = float(model.manifest.facts.get("seconds", 0.0))
    own = _contender("model", "This model", task, truth, predicted, rows=train.num_rows, seconds=seconds)
    say(
        f"{best.title} {number(own.scores[best.name])} on {len(truth):,} test rows, "
        f"at {speed.rows_per_second:,.0f} rows/s"
    )
    in_use = score_champion(champion, model, test)
    others = [*_champion_contender(in_use, task, truth), *_baselines(model, train, test, truth, config)]
    intervals, differences = _certainty(task, truth, own, others, config)
    calibration = None if task == "regression" else _calibration(truth, predicted, config)
    found = _slices(model, test, truth, predicted, in_use, config)
    compared = next((each for each in differences if each.contender.name == "champion"), None)
    findings = Findings(
        task=task,
        scores=own.scores,
        interval=intervals[best.name],
        guess=others[-1].scores[best.name],
        champion=in_use,
        champion_score=compared.contender.scores[best.name] if compared else None,
        ahead=_ahead(compared, best.name) if compared else None,
        slices=found,
        calibration_error=calibration[0] if calibration else None,
        speed=speed,
    )
    return Results(
        truth=truth,
        model=own,
        champion=in_use,
        others=others,
        intervals=intervals,
        differences=differences,
        calibration=calibration,
        operating_point=_operating_point(task, truth, predicted, config),
        threshold_wanted=config.threshold,
        slices=found,
        importance=_importance(model, truth, predicted, test, config),
        speed=speed,
        curves=curves_of(task, truth, predicted),
        decision=decide(findings, config, test_digest=test_digest),
    )


def _contender(
    name: str, title: str, task: str, truth: Array, predicted: Floats, *, rows: int | None, seconds: float
) -> Contender:
    scores = score(task, truth, predicted)
    return Contender(name=name, title=title, predicted=predicted, scores=scores, rows=rows, seconds=seconds)


def _champion_contender(champion: Champion | None, task: str, truth: Array) -> list[Contender]:
    best = headline(task)
    if champion is None:
        return []
    if champion.predicted is None:
        say(f"The champion, version {champion.version}, cannot be compared with: {champion.problem}")
        return []
    title = f"Champion, version {champion.version}"
    found = _contender("champion", title, task, truth, champion.predicted, rows=None, seconds=champion.seconds)
    say(f"{best.title} {number(found.scores[best.name])} by the champion, version {champion.version}")
    return [found]


def _baselines(
    model: TrainedModel, train: pa.Table, test: pa.Table, truth: Array, config: EvaluationConfig
) -> list[Contender]:
    """Return gradient boosting, where asked for, and the guess."""
    task, best = model.task, headline(model.task)
    learned = model.encode_target(train)
    guess = baselines.trivial(learned, classes=model.classes, test_rows=len(truth))
    trivial = _contender("trivial", "Guess", task, truth, guess.predicted, rows=guess.rows, seconds=guess.seconds)
    if not config.baseline_rows:
        return [trivial]
    fitted = baselines.gradient_boosting(
        model.preprocessor.prepare(train),
        learned,
        model.preprocessor.prepare(test),
        columns=model.preprocessor.used,
        classes=model.classes,
        most_rows=config.baseline_rows,
        seed=config.seed,
    )
    boosting = _contender(
        *("gradient_boosting", "Gradient boosting", task, truth, fitted.predicted),
        rows=fitted.rows,
        seconds=fitted.seconds,
    )
    shown = number(boosting.scores[best.name])
    say(f"{best.title} {shown} by gradient boosting, fitted in {duration(boosting.seconds)}")
    return [boosting, trivial]


def _certainty(
    task: str, truth: Array, model: Contender, others: Sequence[Contender], config: EvaluationConfig
) -> tuple[dict[str, Interval], list[Difference]]:
    """Return the intervals of the model's metrics, and its differences to all others but the guess."""
    compared = others[:-1]
    predictions = [each.predicted for each in (model, *compared)]
    draws = bootstrap(task, truth, predictions, resamples=config.confidence_resamples, seed=config.seed)
    intervals = {name: interval(drawn[:, 0]) for name, drawn in draws.items()}
    if "accuracy" in intervals:
        low, high = wilson(np.array([model.scores["accuracy"]]), np.array([len(truth)]))
        intervals["accuracy"] = (float(low[0]), float(high[0]))
    differences = [
        Difference(
            contender=other,
            values={name: model.scores[name] - other.scores[name] for name in draws},
            intervals={name: interval(drawn[:, 0] - drawn[:, place]) for name, drawn in draws.items()},
        )
        for place, other in enumerate(compared, start=1)
    ]
    return intervals, differences


def _ahead(difference: Difference, name: str) -> tuple[float, float, float]:
    """Return by how much the model is better, and the interval of that: also where less is better."""
    value, (low, high) = difference.values[name], difference.intervals[name]
    return (-value, -high, -low) if METRICS[name].lower_is_better else (value, low, high)


def _calibration(truth: Array, predicted: Floats, config: EvaluationConfig) -> Interval:
    """Return the calibration error of the positive class, or (more classes) of the chosen one; and what is chance."""
    if predicted.shape[1] == 2:
        return calibration_error(truth, predicted[:, 1], seed=config.seed)
    return calibration_error(predicted.argmax(axis=1) == truth, predicted.max(axis=1), seed=config.seed)


def _slices(
    model: TrainedModel,
    test: pa.Table,
    truth: Array,
    predicted: Floats,
    champion: Champion | None,
    config: EvaluationConfig,
) -> list[Slice]:
    return slices(
        model.task,
        truth,
        predicted,
        champion.predicted if champion else None,
        table=model.preprocessor.prepare(test),
        columns=model.preprocessor.used,
        fewest_rows=config.slice_rows,
    )


def _operating_point(task: str, truth: Array, predicted: Floats, config: EvaluationConfig) -> OperatingPoint | None:
    if task != "binary" or not config.threshold:
        return None
    settings = {"resamples": config.confidence_resamples, "seed": config.seed}
    return operating_point(truth, predicted[:, 1], config.threshold, **settings)


def _importance(
    model: TrainedModel, truth: Array, predicted: Floats, test: pa.Table, config: EvaluationConfig
) -> list[Importance]:
    if not config.importance_rows:
        return []
    return importances(model, truth, predicted, test, most_rows=config.importance_rows, seed=config.seed)
