"""Evaluate a model on rows that it never saw: scores, comparisons, a verdict and a page."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ropewalk.artifacts import EVALUATION, Draft, Manifest, read_artifact, write_artifact, write_json
from ropewalk.errors import ArtifactError
from ropewalk.evaluation.catalog import headline
from ropewalk.evaluation.config import EvaluationConfig, check_limits
from ropewalk.evaluation.curves import kfp_classification
from ropewalk.evaluation.measure import measure
from ropewalk.evaluation.results import Results
from ropewalk.preprocess.splits import read_split
from ropewalk.progress import say
from ropewalk.quick_exit import skip_last_collection
from ropewalk.report.page import write_page
from ropewalk.training.model import TrainedModel, load_model


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What came out of an evaluation."""

    metrics: dict[str, float]
    """Finite numbers by name: the model's scores and their intervals, and the headline of what it is compared with."""
    classification: dict[str, Any]
    """Metadata of a KFP ClassificationMetrics; empty for regression."""
    verdict: str
    """"promote" or "hold"."""
    reason: str
    """Why, in words."""
    manifest: Manifest
    """Of the evaluation artifact."""


def evaluate(
    model: Path,
    *,
    train: Path,
    test: Path,
    evaluation: Path,
    report: Path,
    champion: Path | None = None,
    config: EvaluationConfig = EvaluationConfig(),
) -> Evaluated:
    """Score a model on its test split, compare it, decide, and write the evaluation artifact and an HTML page.

    Args:
        model: Model artifact.
        train: Training split, for the baselines.
        test: Test split: rows that neither training nor the choice of the epoch saw.
        evaluation: Where to write the evaluation artifact.
        report: Where to write the page, one HTML file.
        champion: Champion artifact, as `ropewalk.registry` fetches it: the model in use, scored on the same test
            rows. None, or one without a version: there is none yet.
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
    results = measure(
        trained, train_table, test_table, champion=champion, test_digest=test_manifest.digest, config=config
    )
    metrics = _flat(trained.task, results)
    with write_artifact(evaluation, EVALUATION, [trained.manifest, test_manifest]) as draft:
        _write(draft, trained, results, metrics)
    # Imported late: it loads matplotlib, which nothing before the page needs.
    from ropewalk.evaluation.page import evaluation_page

    write_page(report, evaluation_page(trained, results, train=train_manifest, test=test_manifest))
    say(f"{results.decision.verdict}: {results.decision.reason}")
    return Evaluated(
        metrics=metrics,
        classification=kfp_classification(results.curves, trained.classes),
        verdict=results.decision.verdict,
        reason=results.decision.reason,
        manifest=read_artifact(evaluation, EVALUATION),
    )


def _write(draft: Draft, model: TrainedModel, results: Results, metrics: dict[str, float]) -> None:
    contents = {
        "metrics": metrics,
        "baselines": {each.name: each.scores for each in results.others if each.name != "champion"},
        "decision": asdict(results.decision),
        "champion": _champion(results),
        "curves": results.curves,
        "slices": [asdict(each) for each in results.slices],
        "importance": [asdict(each) for each in results.importance],
    }
    for name, content in contents.items():
        write_json(draft.folder / f"{name}.json", content)
    speed = results.speed
    draft.facts.update(
        verdict=results.decision.verdict,
        reason=results.decision.reason,
        task=model.task,
        target=model.target,
        **metrics,
        rows_per_second=round(speed.rows_per_second),
        single_row_milliseconds=round(1000 * speed.row_seconds, 3),
        slow_row_milliseconds=round(1000 * speed.slow_row_seconds, 3),
        batch_milliseconds=round(1000 * speed.batch_seconds, 3),
        model_bytes=speed.model_bytes,
    )


def _champion(results: Results) -> dict[str, Any] | None:
    """Return the champion's scores on the same rows and the differences to them; None without a comparison."""
    compared = results.difference("champion")
    if compared is None:
        return None
    return {
        "scores": compared.contender.scores,
        "differences": {
            name: {"value": value, "low": compared.intervals[name][0], "high": compared.intervals[name][1]}
            for name, value in compared.values.items()
        },
    }


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


def _flat(task: str, results: Results) -> dict[str, float]:
    best = headline(task).name
    found = dict(results.model.scores)
    for name, (low, high) in results.intervals.items():
        found |= {f"{name}_low": low, f"{name}_high": high}
    found |= {f"{each.name}_{best}": each.scores[best] for each in results.others}
    if results.calibration is not None:
        found["calibration_error"] = results.calibration[0]
    if results.operating_point is not None:
        found["threshold"] = results.operating_point.threshold
        found |= {f"threshold_{name}": value for name, (value, _, _) in results.operating_point.scores.items()}
    return {**found, "test_rows": float(np.size(results.truth))}
