"""The part of the evaluation page that tells what the model was made from, by what, and what it was compared with."""

import os
from collections.abc import Sequence
from typing import Any

from ropewalk.artifacts import PREPROCESSOR, RAW_DATA, SPLIT, Manifest
from ropewalk.evaluation.champion import Champion
from ropewalk.evaluation.results import Results
from ropewalk.origin import as_text, pipeline_facts, without_credentials
from ropewalk.report.blocks import Block, Fact, Facts, Plots, Section, Table
from ropewalk.report.format import count, short
from ropewalk.training.model import TrainedModel

_RUN = "ROPEWALK_RUN_ID"


def lineage(model: TrainedModel, results: Results, *, train: Manifest, test: Manifest) -> Section:
    """Return the cards of data, model and pipeline run, and the parameters of that run."""
    pipeline = pipeline_facts()
    cards = [
        _card("Data", [*_data(test), *_splits(model, train, test, results.champion)]),
        _card("Model", [*_model(model), *_compared(results.champion)]),
        _card("Run", _run(pipeline)),
    ]
    blocks: list[Block] = [Plots([card for card in cards if card.facts])]
    if pipeline.get("parameters"):
        rows = [[name, as_text(value) or None] for name, value in pipeline["parameters"].items()]
        blocks.append(Table(["Parameter", "Value"], rows, caption="Parameters of the pipeline that were given"))
    note = (
        "What the model was made from, and by what. Commits and digests are shortened; point at one to see all of it. "
        "What becomes of the model once it is registered, the command ropewalk explain tells."
    )
    return Section("Data and lineage", blocks, note=note)


def nearest_source(manifest: Manifest, kind: str) -> dict[str, Any]:
    """Return the nearest ancestor of this kind: its digest, facts and sources; empty when there is none."""
    level: Sequence[dict[str, Any]] = manifest.made_from
    while level:
        for source in level:
            if source["kind"] == kind:
                return source
        level = [each for source in level for each in source["made_from"]]
    return {}


def _data(test: Manifest) -> list[Fact | None]:
    raw = nearest_source(test, RAW_DATA)
    facts = raw.get("facts", {})
    return [
        _named("Source", facts.get("source")),
        _named("Path", facts.get("path")),
        _named("Revision", facts.get("revision")),
        _digest("Commit", facts.get("commit")),
        _digest("Data hash", facts.get("hash")),
        _digest("As pulled", raw.get("digest")),
    ]


def _splits(model: TrainedModel, train: Manifest, test: Manifest, champion: Champion | None) -> list[Fact | None]:
    splits = [source for source in model.manifest.made_from if source["kind"] == SPLIT]
    validation = next((split for split in splits if split["facts"].get("split") == "validation"), None)
    shared = champion is not None and champion.predicted is not None
    return [
        _split("Training rows", train.digest, train.facts),
        _split("Validation rows", validation["digest"], validation["facts"]) if validation else None,
        _split("Test rows, of the champion too" if shared else "Test rows", test.digest, test.facts),
    ]


def _model(model: TrainedModel) -> list[Fact | None]:
    return [
        _digest("This model", model.manifest.digest),
        _digest("Its preprocessor", nearest_source(model.manifest, PREPROCESSOR).get("digest")),
        _named("Made by", model.manifest.created_by),
    ]


def _compared(champion: Champion | None) -> list[Fact | None]:
    if champion is None:
        return [_named("Champion", "none yet")]
    return [
        _named("Champion", f"version {champion.version}"),
        _digest("The champion's model", champion.digest),
        _digest("Its MLflow run", champion.run_id),
        _named("Not compared", champion.problem),
    ]


def _run(pipeline: dict[str, Any]) -> list[Fact | None]:
    return [
        _named("Run", os.environ.get(_RUN)),
        _named("Pipeline", pipeline.get("name")),
        _digest("Its YAML", pipeline.get("sha256")),
        *(_named("Image", image) for image in pipeline.get("images", [])),
        _named("Kept by", pipeline.get("kept_by")),
    ]


def _card(title: str, facts: Sequence[Fact | None]) -> Facts:
    return Facts([fact for fact in facts if fact is not None], title=title)


def _named(label: str, value: Any) -> Fact | None:
    return Fact(label, without_credentials(str(value))) if value else None


def _digest(label: str, value: Any) -> Fact | None:
    return Fact(label, short(str(value)), title=str(value)) if value else None


def _split(label: str, digest: str, facts: dict[str, Any]) -> Fact:
    return Fact(label, count(facts["rows"]), detail=short(digest), title=digest)
