"""Explain: where a registered model came from, back to the bytes of its data; and what was made of a data version."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ropewalk.errors import TrackingError
from ropewalk.registry.aliases import HELD_BACK_TAG, SINCE_TAG, WITHDRAWN_TAG
from ropewalk.registry.catalog import measured, moment
from ropewalk.registry.lineage import DIGEST_TAG, TEST_DIGEST_TAG
from ropewalk.registry.lookup import every, find_model, find_version, opened, parse
from ropewalk.tracking import RUN_ID_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_LINEAGE, _DATA, _PIPELINE, _TUNING = "lineage.", "data.", "pipeline.", "ropewalk.tuning."
_DATA_TAGS = ("data.hash", "data.commit", "lineage.raw-data.digest", "lineage.split.train.digest", TEST_DIGEST_TAG)
_MOST_TRIALS = 50


def explain_model(reference: str, tracking_uri: str = "") -> dict[str, Any]:
    """Return all that is recorded of MODEL, MODEL@alias or MODEL/version, by part; what is not known is left out.

    Parts: model, decision, evaluation, training_run, trials, parameters, pipeline, artifacts (what it was made from,
    with digests) and data.

    Raises:
        ConfigError: The reference is none.
        TrackingError: There is no such model, alias or version.
        ServiceError: MLflow cannot be reached.
    """
    with opened(tracking_uri) as (client, _):
        version = find_version(client, parse(reference))
        aliases = find_model(client, version.name).aliases
        held = sorted(alias for alias, number in aliases.items() if str(number) == str(version.version))
        run = client.get_run(version.run_id) if version.run_id else None
        trials = _trials(client, run) if run else {}
    tags = version.tags
    parts = {
        "model": _model(version, held),
        "decision": _decision(tags),
        "evaluation": _evaluation(tags, run),
        "training_run": _training_run(tags, run),
        "trials": trials,
        "parameters": dict(sorted(run.data.params.items())) if run else {},
        "pipeline": _pipeline(tags),
        "artifacts": _under(tags, _LINEAGE),
        "data": _under(tags, _DATA),
    }
    return {name: part for name, part in parts.items() if part}


def models_of_data(wanted: str, tracking_uri: str = "") -> dict[str, Any]:
    """Return the models made of a version of data.

    Args:
        wanted: DVC's hash ("md5:..." or the hex alone), a Git commit, or the digest of raw data or of a split; its
            first characters are enough.
        tracking_uri: MLflow server or sqlite store; empty: $MLFLOW_TRACKING_URI, else the embedded store.

    Raises:
        TrackingError: No model was made of it.
        ServiceError: MLflow cannot be reached.
    """
    text = wanted.strip()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with opened(tracking_uri) as (client, _):
        for tag, pattern in _patterns(text):
            wanted_tag = f"tags.`{tag}` LIKE '{pattern}'"
            for version in every(functools.partial(_search, client, wanted_tag)):
                entry = found.setdefault((version.name, str(version.version)), _made(version))
                entry["matches"] = [*entry["matches"], tag]
    if not found:
        raise TrackingError(
            f"No registered model was made of data with the hash, commit or digest {text!r}. `ropewalk data ls "
            "REPOSITORY PATH` lists the versions of a data set with their hashes."
        )
    ordered = sorted(found.values(), key=lambda entry: (entry["name"], int(entry["version"])))
    return {"data": text, "models": ordered}


def tree(told: Mapping[str, Any]) -> str:
    """Return what was explained as a tree of plain text."""
    model = told.get("model", {})
    head = f"{model['name']} version {model['version']}" if model else f"data {told['data']}"
    rest = {name: part for name, part in told.items() if name != "data" or model}
    return "\n".join([head, *_lines(_readable(rest))])


def _model(version: ModelVersion, held: list[str]) -> dict[str, Any]:
    tags = version.tags
    return _known(
        name=version.name,
        version=str(version.version),
        aliases=held,
        registered=moment(version.creation_timestamp),
        champion_since=tags.get(SINCE_TAG, ""),
        withdrawn=tags.get(WITHDRAWN_TAG, ""),
        task=tags.get("ropewalk.task", ""),
        target=tags.get("ropewalk.target", ""),
        digest=tags.get(DIGEST_TAG, ""),
        made_by=f"ropewalk {tags['ropewalk.version']}" if "ropewalk.version" in tags else "",
        source=version.source,
    )


def _decision(tags: Mapping[str, str]) -> dict[str, Any]:
    compared = tags.get("ropewalk.compared_with", "")
    return _known(
        verdict=tags.get("ropewalk.verdict", ""),
        reason=tags.get("ropewalk.verdict_reason", ""),
        rules=tags.get("ropewalk.rules", ""),
        compared_with=f"version {compared}" if compared else "",
        held_back=tags.get(HELD_BACK_TAG, ""),
    )


def _evaluation(tags: Mapping[str, str], run: Run | None) -> dict[str, Any]:
    return _known(
        digest=tags.get("ropewalk.evaluation_digest", ""),
        test_digest=tags.get(TEST_DIGEST_TAG, ""),
        metrics=measured(run) if run else {},
    )


def _training_run(tags: Mapping[str, str], run: Run | None) -> dict[str, Any]:
    run_id, name, local_run = (tags.get(tag, "") for tag in (RUN_ID_TAG, "ropewalk.run_name", "ropewalk.local_run_id"))
    return _known(
        run_id=run_id,
        name=name if name != run_id else "",
        local_run=local_run if local_run != run_id else "",
        mlflow_run_id=run.info.run_id if run else "",
        mlflow_experiment_id=run.info.experiment_id if run else "",
        status=run.info.status if run else "",
        started=moment(run.info.start_time) if run else "",
    )


def _trials(client: MlflowClient, run: Run) -> dict[str, Any]:
    wanted = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    order = ["attributes.start_time ASC"]
    found = client.search_runs([run.info.experiment_id], wanted, max_results=_MOST_TRIALS + 1, order_by=order)
    if not found:
        return {}
    return {
        "count": f"more than {_MOST_TRIALS}" if len(found) > _MOST_TRIALS else len(found),
        **_under(run.data.tags, _TUNING),
        "runs": [
            {"name": one.info.run_name, "mlflow_run_id": one.info.run_id, "status": one.info.status}
            for one in found[:_MOST_TRIALS]
        ],
    }


def _pipeline(tags: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = _under(tags, _PIPELINE)
    if "parameters" in found:
        found["parameters"] = _parsed(found["parameters"])
    if "images" in found:
        found["images"] = found["images"].split(", ")
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # Cut, because a tag has only so much room.
        return text


def _search(client: MlflowClient, wanted: str, token: str | None) -> Any:
    return client.search_model_versions(wanted, page_token=token)


def _made(version: ModelVersion) -> dict[str, Any]:
    tags = version.tags
    return {
        "name": version.name,
        "version": str(version.version),
        "verdict": tags.get("ropewalk.verdict", ""),
        "registered": moment(version.creation_timestamp),
        "run_id": tags.get(RUN_ID_TAG, ""),
        "matches": [],
    }


def _patterns(text: str) -> Iterator[tuple[str, str]]:
    if not text or any(sign in text for sign in "'\"%`\\"):
        raise TrackingError(f"{text!r} is no hash, commit or digest.")
    for tag in _DATA_TAGS:
        yield tag, f"{text}%"
    if ":" not in text:
        yield "data.hash", f"%:{text}%"


def _under(tags: Mapping[str, str], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in sorted(tags.items()) if name.startswith(prefix)}


def _known(**facts: Any) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in ("", None, [], {})}


def _readable(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts with long lists as their number: --json has all of them."""
    shown = dict(parts)
    if "parameters" in shown:
        shown["parameters"] = f"{len(shown['parameters'])} settings of the training, told by --json"
    if "trials" in shown:
        shown["trials"] = {name: value for name, value in shown["trials"].items() if name != "runs"}
    return shown


def _lines(content: Any, indent: str = "") -> Iterator[str]:
    entries = list(content.items()) if isinstance(content, Mapping) else list(_numbered(content))
    for place, (name, value) in enumerate(entries):
        last = place == len(entries) - 1
        stem, below = ("└─ ", "   ") if last else ("├─ ", "│  ")
        if isinstance(value, Mapping) or (isinstance(value, list) and value and isinstance(value[0], Mapping)):
            yield f"{indent}{stem}{name}"
            yield from _lines(value, indent + below)
        else:
            yield f"{indent}{stem}{name}: {_value(value)}"


def _numbered(entries: list[Any]) -> Iterator[tuple[str, Any]]:
    for entry in entries:
        rest = {name: value for name, value in entry.items() if name not in ("name", "version")}
        yield f"{entry.get('name', '')} version {entry.get('version', '')}", rest


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
