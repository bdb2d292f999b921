"""The page that `ropewalk explain` writes: what is recorded of a version, as cards and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from ropewalk.origin import as_text
from ropewalk.registry.catalog import INTERVAL_ENDS
from ropewalk.report.blocks import Block, Fact, Facts, Plots, Section, Table, Tone
from ropewalk.report.format import number, short
from ropewalk.report.page import render_page

_CARDS = {
    "Data": ("data", "artifacts"),
    "Model": ("model", "decision", "evaluation"),
    "Run": ("training_run", "pipeline", "trials"),
}
_IN_TITLE = {"model.name", "model.version", "decision.verdict", "decision.reason"}
_LABELS = {
    "artifacts.raw-data.digest": "As pulled",
    "model.digest": "Digest of the model",
    "model.source": "Kept at",
    "decision.rules": "Conditions",
    "evaluation.digest": "Evaluation",
    "evaluation.test_digest": "Test rows",
    "training_run.run_id": "Run",
    "training_run.mlflow_run_id": "MLflow run",
    "training_run.mlflow_experiment_id": "MLflow experiment",
    "pipeline.name": "Pipeline",
    "pipeline.sha256": "Its YAML",
    "trials.count": "Trials",
}
_HEADLINES = 4
_DIGEST_DIGITS = 32
"""Hex digits from which on a value is shown by its first ones."""
_STATUS: dict[str, tuple[Tone, str]] = {"promote": ("good", "Promote"), "hold": ("bad", "Hold")}


def lineage_page(told: Mapping[str, Any]) -> str:
    """Return the page, HTML, of what `explain_model` has told."""
    model, decision = told["model"], told.get("decision", {})
    verdict = decision.get("verdict", "")
    tone, label = _STATUS.get(verdict, ("neutral", "Not judged"))
    predicted = f"predicts {model['target']} ({model['task']})" if {"target", "task"} <= model.keys() else ""
    return render_page(
        eyebrow="Registered model",
        title=f"{model['name']} version {model['version']}",
        subtitle=" · ".join(part for part in (predicted, ", ".join(model.get("aliases", []))) if part),
        status=(tone, label, decision.get("reason", "Ropewalk did not evaluate this version.")),
        headline=_headline(told),
        sections=[lineage_section(told), *_tables(told)],
    )


def lineage_section(told: Mapping[str, Any]) -> Section:
    """Return the cards of what was told."""
    cards = [Facts(_facts(told, parts), title=title) for title, parts in _CARDS.items()]
    note = "Commits and digests are shortened; point at one to see all of it."
    return Section("Lineage", [Plots([card for card in cards if card.facts])], note=note)


def _headline(told: Mapping[str, Any]) -> list[Fact]:
    metrics = told.get("evaluation", {}).get("metrics", {})
    own = [name for name in metrics if not name.endswith(INTERVAL_ENDS) and not name.startswith("baseline.")]
    return [Fact(name, number(metrics[name])) for name in own[:_HEADLINES]]


def _facts(told: Mapping[str, Any], parts: Sequence[str]) -> list[Fact]:
    values = {f"{part}.{name}": value for part in parts for name, value in told.get(part, {}).items()}
    plain = {name: value for name, value in values.items() if name not in _IN_TITLE and not _is_table(value)}
    return [_fact(name, ", ".join(value) if isinstance(value, list) else str(value)) for name, value in plain.items()]


def _fact(name: str, value: str) -> Fact:
    words = name.partition(".")[2].removesuffix(".digest").replace("_", " ").replace(".", ", ")
    label = _LABELS.get(name, words.capitalize())
    digest = value.rpartition(":")[2].partition(".")[0]
    if len(digest) < _DIGEST_DIGITS or not set(digest) <= set("0123456789abcdef"):
        return Fact(label, value)
    return Fact(label, short(value), title=value)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _tables(told: Mapping[str, Any]) -> list[Section]:
    given = told.get("pipeline", {}).get("parameters", {})
    tables = {
        "Parameters of the pipeline": _pairs(given if isinstance(given, Mapping) else {"all": given}),
        "Trials": _runs(told.get("trials", {}).get("runs", [])),
        "Metrics on the test rows": _pairs(told.get("evaluation", {}).get("metrics", {})),
        "Settings of the training": _pairs(told.get("parameters", {})),
    }
    return [Section(title, [table]) for title, table in tables.items() if table is not None]


def _pairs(values: Mapping[str, Any]) -> Block | None:
    rows = [[name, value if isinstance(value, float) else as_text(value) or None] for name, value in values.items()]
    return Table(["Name", "Value"], rows) if rows else None


def _runs(runs: list[dict[str, str]]) -> Block | None:
    rows = [[run["name"], run["status"], run["mlflow_run_id"]] for run in runs]
    return Table(["Trial", "State", "MLflow run"], rows) if rows else None
