"""Aliases: which version is in use, which was before it, which is the newest; moved by one process at a time.

MLflow sets an alias whatever it points to. Here an alias moves only from the version that the mover knows of: all who
use these functions take turns, and what others did in the meantime is seen before and after.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.errors import TrackingError
from ropewalk.tracking import exclusive
from ropewalk.turns import Board, turn

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER = "challenger"
CHAMPION = "champion"
PREVIOUS = "previous-champion"

BEFORE_TAG = "ropewalk.champion_before"
"""Tag of a version that is or was the champion: the version before it; empty for the first."""
SINCE_TAG = "ropewalk.champion_since"
"""Tag of a version that is or was the champion: when it last became it, ISO 8601 in UTC."""
WITHDRAWN_TAG = "ropewalk.withdrawn"
"""Tag of a version that a rollback took out of use, and when; its run does not promote it again."""

HELD_BACK_TAG = "ropewalk.held_back"
"""Tag of a version that was good enough, and did not become the champion: why."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a version is after its aliases were settled."""

    alias: str
    """The highest that it has: "champion", "challenger" or ""."""
    note: str
    """Why it is not the champion although it was to be promoted; else empty."""


@contextmanager
def turn_at(client: MlflowClient, uri: str, name: str) -> Iterator[None]:
    """Hold the right to change what the registered model `name` has: the file's lock for sqlite, a turn elsewhere."""
    with exclusive(uri):
        if uri.startswith("sqlite:"):
            yield
            return
        board = Board(
            title=f"the registered model {name!r}",
            read=lambda: client.get_registered_model(name).tags,
            write=lambda tag, value: client.set_registered_model_tag(name, tag, value),
            erase=lambda tag: client.delete_registered_model_tag(name, tag),
        )
        with turn(board):
            yield


def settle(client: MlflowClient, name: str, version: str, *, promote: bool, expected: str) -> Standing:
    """Point `challenger` to `version` unless a later one has it, and `champion` if it is to be promoted; in a turn.

    Args:
        client: Client of the registry.
        name: Name of the registered model.
        version: The version.
        promote: Whether it is to be the champion.
        expected: The champion that it was compared with, empty for none: any other one stays.
    """
    aliases = read(client, name)
    if int(aliases.get(CHALLENGER, 0)) < int(version):
        client.set_registered_model_alias(name, CHALLENGER, version)
        aliases[CHALLENGER] = version
    note = _objection(client, name, version, expected, aliases.get(CHAMPION, "")) if promote else ""
    if note:
        client.set_model_version_tag(name, version, HELD_BACK_TAG, note)
    elif promote:
        crown(client, name, version)
        aliases = read(client, name)
    alias = next((alias for alias in (CHAMPION, CHALLENGER) if aliases.get(alias) == version), "")
    return Standing(alias=alias, note=note)


def crown(client: MlflowClient, name: str, version: str) -> str:
    """Make `version` the champion, the one before it `previous-champion`, and return that one; in a turn.

    Raises:
        TrackingError: Somebody who takes no turns moved the alias at the same moment.
    """
    before = read(client, name).get(CHAMPION, "")
    if before == version:
        return before
    if before:
        client.set_registered_model_alias(name, PREVIOUS, before)
    client.set_model_version_tag(name, version, BEFORE_TAG, before)
    client.set_model_version_tag(name, version, SINCE_TAG, _now())
    client.set_registered_model_alias(name, CHAMPION, version)
    _verify(client, name, version)
    return before


def roll_back(client: MlflowClient, name: str) -> tuple[str, str]:
    """Make the champion before this one the champion again; in a turn.

    Returns:
        The version that was withdrawn, and the one that is in use now.

    Raises:
        TrackingError: There is none, or somebody moved the alias at the same moment.
    """
    aliases = read(client, name)
    current, before = aliases.get(CHAMPION, ""), aliases.get(PREVIOUS, "")
    if not current or not before or before == current:
        raise TrackingError(
            f"{name!r} has no earlier champion to go back to. See `ropewalk models show '{name}'`, and promote a "
            f"version by `ropewalk models promote '{name}/VERSION'`."
        )
    earlier = client.get_model_version(name, before).tags.get(BEFORE_TAG, "")
    known = {str(version.version) for version in client.search_model_versions(f"name = '{name}'")}
    client.set_model_version_tag(name, current, WITHDRAWN_TAG, _now())
    client.set_registered_model_alias(name, CHAMPION, before)
    client.set_model_version_tag(name, before, SINCE_TAG, _now())
    if earlier in known:
        client.set_registered_model_alias(name, PREVIOUS, earlier)
    else:
        client.delete_registered_model_alias(name, PREVIOUS)
    _verify(client, name, before)
    return current, before


def read(client: MlflowClient, name: str) -> dict[str, str]:
    """Return alias to version, as text."""
    return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}


def _objection(client: MlflowClient, name: str, version: str, expected: str, current: str) -> str:
    if current == version:
        return ""
    tags = client.get_model_version(name, version).tags
    if WITHDRAWN_TAG in tags:
        return f"Version {version} was taken out of use on {tags[WITHDRAWN_TAG]} by a rollback."
    if current == expected:
        return ""
    compared = f"version {expected}" if expected else "no champion"
    return (
        f"The champion is {f'version {current}' if current else 'none'} now, but version {version} was compared with "
        f"{compared}. Evaluate it again, or promote it by `ropewalk models promote '{name}/{version}'`."
    )


def _verify(client: MlflowClient, name: str, version: str) -> None:
    found = read(client, name).get(CHAMPION, "")
    if found != version:
        raise TrackingError(
            f"The champion of {name!r} was set to version {version}, and is {f'version {found}' if found else 'none'} "
            "now: somebody else moved the alias at the same moment. Look at both by `ropewalk models diff`, "
            "and promote the one that you want."
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
