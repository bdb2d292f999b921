"""KFP interface of `ropewalk.validation`: types, defaults and docs, no logic."""

from typing import NamedTuple

from kfp import dsl

from ropewalk import images


@dsl.component(base_image=images.TABLES, install_kfp_package=False)
def validate_data(
    data: dsl.Input[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    target: str = "",
    task: str = "auto",
    config: dict = {},
    reference: dsl.Input[dsl.Dataset] = None,
) -> NamedTuple("Outputs", [("target", str), ("task", str)]):
    """Refuse a table that cannot be trained on, naming everything that is wrong with it at once.

    Args:
        data: Raw data, as pull_data writes it.
        target: Column to predict; empty takes the target of a sample.
        task: "auto", "binary", "multiclass" or "regression".
        config: Rules that the table must meet; see `python -m ropewalk.validation --help`.
        reference: An earlier version, as pull_data writes it, to compare distributions with.

    Returns:
        report: Page with every column and every finding; written also when the table is refused.
        metrics: Rows, columns and warnings.
        target: The column to predict.
        task: "binary", "multiclass" or "regression".
    """
    from pathlib import Path

    from ropewalk.config import parse_config
    from ropewalk.validation.config import ValidationConfig
    from ropewalk.validation.validate import validate

    settings = parse_config(ValidationConfig, config, section="validation")
    before = reference and Path(reference.path)
    found = validate(
        Path(data.path), report=Path(report.path), target=target, task=task, config=settings, reference=before
    )
    for name, value in {"rows": found.rows, "columns": found.columns, "warnings": len(found.warnings)}.items():
        metrics.log_metric(name, value)
    return found.target, found.task
