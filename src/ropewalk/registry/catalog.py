"""Catalog: what the registry holds, and what a person changes there by hand."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ropewalk.errors import ConfigError, TrackingError
from ropewalk.evaluation.catalog import BY_TASK
from ropewalk.registry import aliases
from ropewalk.registry.aliases import CHAMPION, HELD_BACK_TAG, PREVIOUS, SINCE_TAG, WITHDRAWN_TAG, turn_at
from ropewalk.registry.lookup import all_models, all_versions, find_model, find_version, opened, parse

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

Value = TypeVar("Value")

INTERVAL_ENDS = ("_low", "_high")
"""How the ends of a metric's 95 % interval are called, after the metric's name."""


@dataclass(frozen=True, kw_only=True)
class ModelLine:
    """A registered model in a list."""

    name: str
    versions: int
    aliases: dict[str, str]
    """Alias to version."""
    updated: str
    """When something changed last, ISO 8601 in UTC."""


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """A version of a registered model."""

    version: str
    aliases: list[str]
    created: str
    """ISO 8601 in UTC."""
    verdict: str
    """ "promote", "hold", or empty when Ropewalk did not register it."""
    reason: str
    """Why, in a sentence."""
    champion_since: str
    """When it last became the champion; empty: never."""
    note: str
    """Why it is not the champion although it was found good enough, or was taken out of use."""
    data_hash: str
    metrics: dict[str, float]
    """Test metrics by name."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What is not the same in two versions: name to the value in each, None where it has none."""

    a: str
    b: str
    metrics: dict[str, tuple[float | None, float | None]]
    parameters: dict[str, tuple[str | None, str | None]]
    lineage: dict[str, tuple[str | None, str | None]]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A champion that was changed by hand."""

    name: str
    champion: str
    """The version that is in use now."""
    before: str
    """The version that was; empty: none."""


def list_models(tracking_uri: str = "") -> list[ModelLine]:
    """Return every registered model, by name."""
    with opened(tracking_uri) as (client, _):
        return [
            ModelLine(
                name=model.name,
                versions=len(all_versions(client, model.name)),
                aliases=_text(model.aliases),
                updated=moment(model.last_updated_timestamp),
            )
            for model in all_models(client)
        ]


def show(reference: str, tracking_uri: str = "") -> list[VersionLine]:
    """Return the versions that `reference` means, newest first: one, or all when it names neither alias nor version."""
    wanted = parse(reference)
    with opened(tracking_uri) as (client, _):
        named = _text(find_model(client, wanted.name).aliases)
        if wanted.alias or wanted.version:
            return [_line(client, find_version(client, wanted), named)]
        return [_line(client, version, named) for version in all_versions(client, wanted.name)]


def promote(
    reference: str, *, tracking_uri: str = "", expected: str | None = None, despite_hold: bool = False
) -> Moved:
    """Make a version the champion by hand; the one before it becomes `previous-champion`.

    Args:
        reference: MODEL/version or MODEL@alias.
        tracking_uri: MLflow server or sqlite store; empty: $MLFLOW_TRACKING_URI, else the embedded store.
        expected: Refuse unless this version is the champion now; "" for none; None for any.
        despite_hold: Promote also what its evaluation held back.

    Raises:
        ConfigError: The reference names no version.
        TrackingError: It is not there, was held back, or another version is the champion than expected.
    """
    wanted = parse(reference)
    if not (wanted.alias or wanted.version):
        raise ConfigError(
            f"{reference!r} names no version. Give one, as in '{wanted.name}/3' or '{wanted.name}@challenger'."
        )
    with opened(tracking_uri) as (client, uri):
        find_model(client, wanted.name)
        with turn_at(client, uri, wanted.name):
            version = find_version(client, wanted)
            number = str(version.version)
            if version.tags.get("ropewalk.verdict") == "hold" and not despite_hold:
                raise TrackingError(
                    f"The evaluation of version {number} of {wanted.name!r} says hold: "
                    f"{version.tags.get('ropewalk.verdict_reason', '')} To promote it all the same: --despite-hold."
                )
            current = aliases.read(client, wanted.name).get(CHAMPION, "")
            if expected is not None and current != expected:
                raise TrackingError(
                    f"The champion of {wanted.name!r} is {f'version {current}' if current else 'none'} now, not "
                    f"{f'version {expected}' if expected else 'none'}. Look at it and decide again."
                )
            aliases.crown(client, wanted.name, number)
            if WITHDRAWN_TAG in version.tags:
                client.delete_model_version_tag(wanted.name, number, WITHDRAWN_TAG)
    return Moved(name=wanted.name, champion=number, before=current)


def roll_back(name: str, *, tracking_uri: str = "") -> Moved:
    """Make the champion before this one the champion again.

    Raises:
        TrackingError: There is no such model, or no champion before this one.
    """
    wanted = parse(name)
    if wanted.alias or wanted.version:
        raise ConfigError(
            f"A rollback goes to the champion before this one, so give the model alone: {wanted.name!r}. To go to "
            f"another version: `ropewalk models promote '{name}'`."
        )
    with opened(tracking_uri) as (client, uri):
        find_model(client, wanted.name)
        with turn_at(client, uri, wanted.name):
            withdrawn, champion = aliases.roll_back(client, wanted.name)
    return Moved(name=wanted.name, champion=champion, before=withdrawn)


def diff(a: str, b: str, tracking_uri: str = "") -> Difference:
    """Return what differs between two versions, each named as MODEL, MODEL@alias or MODEL/version."""
    first, second = parse(a), parse(b)
    with opened(tracking_uri) as (client, _):
        versions = [find_version(client, wanted) for wanted in (first, second)]
        metrics = [_metrics(client, version) for version in versions]
        parameters = [_parameters(client, version) for version in versions]
    names = [f"{version.name}/{version.version}" for version in versions]
    return Difference(
        a=names[0],
        b=names[1],
        metrics=_differences(*metrics),
        parameters=_differences(*parameters),
        lineage=_differences(*(dict(version.tags) for version in versions)),
    )


def moment(milliseconds: int | None) -> str:
    """Return a time of MLflow's as ISO 8601 in UTC; empty when there is none."""
    if not milliseconds:
        return ""
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).isoformat(timespec="seconds")


def measured(run: Run) -> dict[str, float]:
    """Return the test metrics of a run, the headline of its task first; ends of intervals and the baselines' last."""
    found = run.data.metrics
    own = {name: value for name, value in found.items() if not name.startswith(("training.", "system/"))}
    last = {name for name in own if name.startswith("baseline.") or name.endswith(INTERVAL_ENDS)}
    known = BY_TASK.get(run.data.tags.get("ropewalk.task", ""), ())
    place = {name: number for number, name in enumerate(known)}
    return dict(sorted(own.items(), key=lambda entry: (entry[0] in last, place.get(entry[0], len(known)), entry[0])))


def _line(client: MlflowClient, version: ModelVersion, named: dict[str, str]) -> VersionLine:
    tags = version.tags
    withdrawn = f"taken out of use on {tags[WITHDRAWN_TAG]}" if WITHDRAWN_TAG in tags else ""
    held = [alias for alias in named if named[alias] == str(version.version)]
    return VersionLine(
        version=str(version.version),
        aliases=sorted(held),
        created=moment(version.creation_timestamp),
        verdict=tags.get("ropewalk.verdict", ""),
        reason=tags.get("ropewalk.verdict_reason", ""),
        champion_since=tags.get(SINCE_TAG, ""),
        note=withdrawn or ("" if CHAMPION in held or PREVIOUS in held else tags.get(HELD_BACK_TAG, "")),
        data_hash=tags.get("data.hash", ""),
        metrics=_metrics(client, version),
    )


def _metrics(client: MlflowClient, version: ModelVersion) -> dict[str, float]:
    if not version.run_id:
        return {}
    return measured(client.get_run(version.run_id))


def _parameters(client: MlflowClient, version: ModelVersion) -> dict[str, str]:
    return dict(sorted(client.get_run(version.run_id).data.params.items())) if version.run_id else {}


def _differences(a: Mapping[str, Value], b: Mapping[str, Value]) -> dict[str, tuple[Value | None, Value | None]]:
    return {name: (a.get(name), b.get(name)) for name in sorted({*a, *b}) if a.get(name) != b.get(name)}


def _text(versions: dict[str, object]) -> dict[str, str]:
    return {alias: str(version) for alias, version in sorted(versions.items())}
