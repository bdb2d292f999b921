"""Lineage: what a model was made from, as MLflow parameters, metrics, tags and a description."""

import math
import os
import re
from collections.abc import Mapping
from typing import Any

from ropewalk import __version__
from ropewalk.artifacts import RAW_DATA, Manifest
from ropewalk.origin import as_text, pipeline_facts, without_credentials
from ropewalk.tracking import RUN_ID_TAG

DIGEST_TAG = "ropewalk.model_digest"
TEST_DIGEST_TAG = "ropewalk.test_digest"

_NOT_IN_NAMES = re.compile(r"[^\w\-. /:]")
_SYSTEM = "system/"
_LONGEST_TAG = 5000
"""Characters that MLflow keeps of a logged model's tag."""
_DATA_FACTS = ("source", "repository", "commit", "path", "revision", "hash")


def parameters(model: Manifest, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, facts and versions as `training.<name>` and `environment.<name>`: no component has such inputs.

    Args:
        model: The model artifact's manifest; its facts say what became of settings such as an automatic device.
        settings: Content of the model's description: `training` and `environment`.
    """
    facts = {name: value for name, value in model.facts.items() if not isinstance(value, float)}
    return flat({"training": {**settings["training"], **facts}, "environment": settings["environment"]})


def test_metrics(metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the test metrics under their own names, and those of baselines as `baseline.<name>.<metric>`."""
    named = dict(metrics)
    for baseline, values in baselines.items():
        named.update({f"baseline.{baseline}.{name}": value for name, value in values.items()})
    return {_metric_name(name): float(value) for name, value in named.items() if _is_number(value)}


def training_steps(history: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """Return the training history as `training.<name>` per epoch; MLflow's `system/<name>` keep their names."""
    return {
        int(entry["epoch"]): {
            _metric_name(name if name.startswith(_SYSTEM) else f"training.{name}"): float(value)
            for name, value in entry.items()
            if name != "epoch" and _is_number(value)
        }
        for entry in history
    }


def tags(
    model: Manifest, evaluation: Manifest, decision: Mapping[str, Any], *, run_id: str, run_name: str
) -> dict[str, str]:
    """Return what the model can be traced by: run, code, data, digests, and the decision on it."""
    named: dict[str, Any] = {
        RUN_ID_TAG: run_id,
        "ropewalk.run_name": run_name,
        "ropewalk.local_run_id": os.environ.get("ROPEWALK_RUN_ID", ""),
        "ropewalk.version": __version__,
        DIGEST_TAG: model.digest,
        "ropewalk.evaluation_digest": evaluation.digest,
        "ropewalk.verdict": decision["verdict"],
        "ropewalk.verdict_reason": decision["reason"],
        "ropewalk.task": model.facts.get("task", ""),
        "ropewalk.target": model.facts.get("target", ""),
        TEST_DIGEST_TAG: decision.get("test_digest") or _test_digest(evaluation),
        "ropewalk.rules": _rules(decision),
        "ropewalk.compared_with": (decision.get("champion") or {}).get("version", ""),
        **_pipeline(),
    }
    for source in sources(model):
        named[f"{_tag_prefix(source)}.digest"] = source["digest"]
    data = raw_data(model)
    named.update({f"data.{name}": data.get(name, "") for name in _DATA_FACTS})
    told = {name: without_credentials(str(value)) for name, value in named.items() if value not in ("", None)}
    return {name: value[:_LONGEST_TAG] for name, value in told.items()}


def sources(model: Manifest) -> list[dict[str, Any]]:
    """Return every artifact that the model was made from, directly or not, each once."""
    found: dict[str, dict[str, Any]] = {}
    waiting = list(model.made_from)
    while waiting:
        source = waiting.pop()
        found.setdefault(source["digest"], source)
        waiting.extend(source.get("made_from", []))
    return list(found.values())


def raw_data(model: Manifest) -> dict[str, Any]:
    """Return the facts of the raw data that the model was made from; empty when its lineage does not say."""
    return next((source["facts"] for source in sources(model) if source["kind"] == RAW_DATA), {})


def description(model: Manifest, metrics: Mapping[str, float], decision: Mapping[str, Any], *, run_name: str) -> str:
    """Return what a person should know of this version, in Markdown."""
    data = raw_data(model)
    lines = [
        f"**{decision['verdict'].capitalize()}**: {decision['reason']}",
        "",
        "| test metric | value |",
        "|---|---|",
        *(f"| {metric} | {value:.4g} |" for metric, value in list(metrics.items())[:12]),
        "",
        f"- predicts `{model.facts.get('target', '')}` ({model.facts.get('task', '')})",
        f"- run: {run_name}",
        *(f"- data {fact}: `{without_credentials(str(data[fact]))}`" for fact in _DATA_FACTS if data.get(fact)),
        f"- model digest: `{model.digest}`",
        f"- made by Ropewalk {__version__}",
    ]
    return "\n".join(lines)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as dotted names."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            named.update(flat(value, f"{prefix}{name}."))
        else:
            named[f"{prefix}{name}"] = value
    return named


def _pipeline() -> dict[str, str]:
    facts = pipeline_facts()
    if "images" in facts:
        facts["images"] = ", ".join(facts["images"])
    return {f"pipeline.{name}": as_text(value) for name, value in facts.items()}


def _test_digest(evaluation: Manifest) -> str:
    """Return the digest of the rows that the model was tested on."""
    tested = (source for source in evaluation.made_from if source["facts"].get("split") == "test")
    return next((str(source["digest"]) for source in tested), "")


def _rules(decision: Mapping[str, Any]) -> str:
    rules = decision.get("rules", [])
    return f"{sum(bool(rule['passed']) for rule in rules)} of {len(rules)} passed" if rules else ""


def _tag_prefix(source: Mapping[str, Any]) -> str:
    kind = source["kind"]
    split = source["facts"].get("split", "")
    return f"lineage.{kind}.{split}" if split else f"lineage.{kind}"


def _metric_name(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)[:250]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
