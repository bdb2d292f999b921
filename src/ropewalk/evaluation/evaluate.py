"""Evaluate a model on rows that it never saw: scores, comparisons, a verdict and a page."""

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ropewalk.artifacts import EVALUATION, Manifest, read_artifact, write_artifact, write_json
from ropewalk.errors import ArtifactError
from ropewalk.evaluation import baselines
from ropewalk.evaluation.catalog import headline
from ropewalk.evaluation.config import EvaluationConfig, check_limits
from ropewalk.evaluation.curves import curves_of, kfp_classification
from ropewalk.evaluation.decision import decide
from ropewalk.evaluation.intervals import headline_draws, interval, wilson
from ropewalk.evaluation.metrics import Array, Floats, check_truth, score
from ropewalk.evaluation.results import Contender, Results, Speed
from ropewalk.preprocess.splits import read_split
from ropewalk.progress import say
from ropewalk.quick_exit import skip_last_collection
from ropewalk.report.format import duration, number
from ropewalk.report.page import write_page
from ropewalk.training.model import TrainedModel, load_model

_SINGLE_ROWS = 25


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What came out of an evaluation."""

    metrics: dict[str, float]
    """Finite numbers by name: the model's scores, the headline's interval, and the baselines' headline."""
    classification: dict[str, Any]
    """Metadata of a KFP ClassificationMetrics; empty for regression."""
    verdict: str
    """"promote" or "hold"."""
    reason: str
    """One sentence."""
    manifest: Manifest
    """Of the evaluation artifact."""


def evaluate(
    model: Path,
    *,
    train: Path,
    test: Path,
    evaluation: Path,
    report: Path,
    config: EvaluationConfig = EvaluationConfig(),
) -> Evaluated:
    """Score a model on its test split, compare it, decide, and write the evaluation artifact and an HTML page.

    Args:
        model: Model artifact.
        train: Training split, for the baselines.
        test: Test split: rows that neither training nor the choice of the epoch saw.
        evaluation: Where to write the evaluation artifact.
        report: Where to write the page, one HTML file.
        config: Limits, and what to compare with.

    Raises:
        ArtifactError: An input is unfinished or altered, or the splits do not belong to the model.
        ConfigError: A limit names a metric that the model's task does not have.
        DataError: The test split has one class, or one value, only.
        TrainingError: The model predicts something that is no finite number.
    """
    skip_last_collection()
    trained = load_model(model)
    check_limits(config, trained.task)
    train_table, train_manifest = read_split(train)
    test_table, test_manifest = read_split(test)
    _check_splits(trained, train_manifest, test_manifest)
    results = _measure(trained, train_table, test_table, config)
    metrics = _flat(trained.task, results)
    with write_artifact(evaluation, EVALUATION, [trained.manifest, test_manifest]) as draft:
        write_json(draft.folder / "metrics.json", metrics)
        write_json(draft.folder / "baselines.json", {each.name: each.scores for each in results.contenders[1:]})
        write_json(draft.folder / "decision.json", asdict(results.decision))
        write_json(draft.folder / "curves.json", results.curves)
        draft.facts.update(
            verdict=results.decision.verdict,
            reason=results.decision.reason,
            task=trained.task,
            target=trained.target,
            **metrics,
            rows_per_second=round(results.speed.rows_per_second),
            single_row_milliseconds=round(1000 * results.speed.single_row_seconds, 3),
        )
    # Imported late: it loads matplotlib, which nothing before the page needs.
    from ropewalk.evaluation.page import evaluation_page

    manifest = read_artifact(evaluation, EVALUATION)
    write_page(report, evaluation_page(trained, results, train=train_manifest, test=test_manifest))
    say(f"{results.decision.verdict}: {results.decision.reason}")
    return Evaluated(
        metrics=metrics,
        classification=kfp_classification(results.curves, trained.classes),
        verdict=results.decision.verdict,
        reason=results.decision.reason,
        manifest=manifest,
    )


def _check_splits(model: TrainedModel, train: Manifest, test: Manifest) -> None:
    for name, split in (("train", train), ("test", test)):
        if split.facts["target"] != model.target:
            raise ArtifactError(
                f"The {name} split is for the target {split.facts['target']!r}, but the model predicts "
                f"{model.target!r}: connect the splits that the model was made with."
            )
    learned_from = {source["digest"]: source["facts"].get("split") for source in model.manifest.made_from}
    if test.digest in learned_from:
        raise ArtifactError(
            f"The test split is the model's own {learned_from[test.digest]} split, so the scores would flatter it: "
            "connect the split named test."
        )


def _measure(model: TrainedModel, train: pa.Table, test: pa.Table, config: EvaluationConfig) -> Results:
    task, classes = model.task, model.classes
    truth = model.encode_target(test)
    check_truth(task, truth, classes)
    predicted, speed = _timed_predictions(model, test)
    own = Contender(
        name="model",
        title="This model",
        predicted=predicted,
        scores=score(task, truth, predicted),
        rows=train.num_rows,
        seconds=float(model.manifest.facts.get("seconds", 0.0)),
    )
    best = headline(task)
    shown = number(own.scores[best.name])
    say(f"{best.title} {shown} on {len(truth):,} test rows, at {speed.rows_per_second:,.0f} rows/s")
    train_truth = model.encode_target(train)
    guess = baselines.trivial(train_truth, classes=classes, test_rows=len(truth))
    trivial = _contender("trivial", "Guess", guess, task, truth)
    boosting = _boosting(model, train, train_truth, test, truth, config)
    if boosting is not None:
        shown = number(boosting.scores[best.name])
        say(f"{best.title} {shown} by gradient boosting, fitted in {duration(boosting.seconds)}")
    span, difference = _certainty(task, truth, own, boosting, config)
    return Results(
        truth=truth,
        model=own,
        boosting=boosting,
        trivial=trivial,
        interval=span,
        difference=difference,
        decision=decide(task, own.scores, trivial.scores, interval=span, config=config),
        curves=curves_of(task, truth, predicted),
        speed=speed,
    )


def _timed_predictions(model: TrainedModel, test: pa.Table) -> tuple[Floats, Speed]:
    single = [_seconds(model, test.slice(row % test.num_rows, 1))[1] for row in range(_SINGLE_ROWS)]
    predicted, seconds = _seconds(model, test)
    return predicted, Speed(rows_per_second=test.num_rows / seconds, single_row_seconds=statistics.median(single))


def _seconds(model: TrainedModel, rows: pa.Table) -> tuple[Floats, float]:
    started = time.perf_counter()
    predicted = model.predict(rows)
    return predicted, time.perf_counter() - started


def _boosting(
    model: TrainedModel,
    train: pa.Table,
    train_truth: Array,
    test: pa.Table,
    truth: Array,
    config: EvaluationConfig,
) -> Contender | None:
    if not config.baseline_rows:
        return None
    baseline = baselines.gradient_boosting(
        model.preprocessor.prepare(train),
        train_truth,
        model.preprocessor.prepare(test),
        columns=model.preprocessor.used,
        classes=model.classes,
        most_rows=config.baseline_rows,
        seed=config.seed,
    )
    return _contender("gradient_boosting", "Gradient boosting", baseline, model.task, truth)


def _contender(name: str, title: str, baseline: baselines.Baseline, task: str, truth: Array) -> Contender:
    return Contender(
        name=name,
        title=title,
        predicted=baseline.predicted,
        scores=score(task, truth, baseline.predicted),
        rows=baseline.rows,
        seconds=baseline.seconds,
    )


def _certainty(
    task: str, truth: Array, model: Contender, boosting: Contender | None, config: EvaluationConfig
) -> tuple[tuple[float, float], tuple[float, float, float] | None]:
    compared = [model] if boosting is None else [model, boosting]
    predictions = [each.predicted for each in compared]
    draws = headline_draws(task, truth, predictions, resamples=config.confidence_resamples, seed=config.seed)
    span = _headline_interval(task, model.scores, draws[:, 0], len(truth))
    if boosting is None:
        return span, None
    best = headline(task).name
    low, high = interval(draws[:, 0] - draws[:, 1])
    return span, (model.scores[best] - boosting.scores[best], low, high)


def _headline_interval(task: str, scores: dict[str, float], draws: Floats, rows: int) -> tuple[float, float]:
    if task != "multiclass":
        return interval(draws)
    low, high = wilson(np.array([scores["accuracy"]]), np.array([rows]))
    return float(low[0]), float(high[0])


def _flat(task: str, results: Results) -> dict[str, float]:
    best = headline(task).name
    low, high = results.interval
    others = {f"{each.name}_{best}": each.scores[best] for each in results.contenders[1:]}
    rows = {"test_rows": float(np.size(results.truth))}
    return {**results.model.scores, f"{best}_low": low, f"{best}_high": high, **others, **rows}
