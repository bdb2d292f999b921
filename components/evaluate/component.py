"""KFP interface of `ropewalk.evaluation`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)
def evaluate_model(
    model: dsl.Input[dsl.Model],
    train: dsl.Input[dsl.Dataset],
    test: dsl.Input[dsl.Dataset],
    evaluation: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
    champion: dsl.Input[dsl.Model] = None,
    config: dict = {},
) -> NamedTuple("Outputs", [("verdict", str)]):
    """Score a model on its test split, compare it with the champion and with baselines, and decide on it.

    Args:
        model: Model, as train_model writes it.
        train: Training split, for the baselines.
        test: Test split, rows that are new to the model.
        champion: The model in use, as fetch_champion writes it.
        config: Rules of promotion; see `python -m ropewalk.evaluation --help`.

    Returns:
        evaluation: Scores, slices, curves and the decision, as JSON files.
        metrics: Scores with 95 % intervals.
        classification: ROC curve and confusion matrix; empty for regression.
        report: One HTML page with everything.
        verdict: "promote" or "hold".
    """
    from pathlib import Path

    from ropewalk.config import parse_config
    from ropewalk.evaluation.config import EvaluationConfig
    from ropewalk.evaluation.evaluate import evaluate

    paths = {"train": train, "test": test, "evaluation": evaluation, "report": report}
    places = {name: Path(artifact.path) for name, artifact in paths.items()}
    settings = parse_config(EvaluationConfig, config, section="evaluation")
    found = evaluate(Path(model.path), **places, champion=champion and Path(champion.path), config=settings)
    evaluation.metadata.update(found.manifest.metadata())
    metrics.metadata.update(found.metrics)
    classification.metadata.update(found.classification)
    return (found.verdict,)
