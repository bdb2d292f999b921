"""Lookup: from what a person writes, MODEL, MODEL@alias or MODEL/version, to a version in the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk import tracking
from ropewalk.errors import ConfigError, TrackingError, nearest
from ropewalk.registry.aliases import CHALLENGER, CHAMPION
from ropewalk.registry.names import check_model_name
from ropewalk.tracking import connect, first_contact, store_exists, tracking_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

_FORMS = "MODEL, MODEL@alias or MODEL/version, such as fraud, fraud@champion or fraud/3"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a person means."""

    name: str
    """Name of the registered model."""
    alias: str
    """Empty when none is named."""
    version: str
    """Empty when none is named."""


def parse(text: str) -> Reference:
    """Return what MODEL, MODEL@alias or MODEL/version means.

    Raises:
        ConfigError: It is none of these.
    """
    name, slash, version = text.strip().partition("/")
    name, at, alias = name.partition("@")
    if (at and not alias) or (slash and (alias or not version.isdecimal())):
        raise ConfigError(f"{text!r} names no model: give {_FORMS}.")
    return Reference(name=check_model_name(name), alias=alias, version=version and str(int(version)))


@contextmanager
def opened(tracking_uri: str) -> Iterator[tuple[MlflowClient, str]]:
    """Yield a client of the registry and its URI, to read and to change what is there; a store is not created.

    Raises:
        TrackingError: There is no store yet, or MLflow refused.
        ServiceError: MLflow cannot be reached.
    """
    uri = tracking.tracking_uri(tracking_uri)
    if not store_exists(uri):
        raise TrackingError(
            f"There is no registry at {uri} yet. Register a model by `ropewalk run training`, set ROPEWALK_HOME to the "
            "folder that has one, or name a server in MLFLOW_TRACKING_URI or --tracking-uri."
        )
    client = connect(uri)
    with tracking_errors(uri), first_contact():
        yield client, uri


def find_model(client: MlflowClient, name: str) -> RegisteredModel:
    """Return the registered model `name`.

    Raises:
        TrackingError: There is none.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = [model.name for model in all_models(client)]
        told = f"Known: {', '.join(known)}." if known else "There are none yet: `ropewalk run training` makes one."
        raise TrackingError(f"There is no registered model {name!r}.{nearest(name, known)} {told}") from error


def find_version(client: MlflowClient, reference: Reference) -> ModelVersion:
    """Return the version that `reference` means; without alias and version, the champion, else the challenger.

    Raises:
        TrackingError: There is no such model, alias or version.
    """
    from mlflow.exceptions import MlflowException

    aliases = {alias: str(version) for alias, version in find_model(client, reference.name).aliases.items()}
    if reference.alias and reference.alias not in aliases:
        known = f"It has {', '.join(sorted(aliases))}." if aliases else "It has none."
        raise TrackingError(
            f"{reference.name!r} has no alias {reference.alias!r}.{nearest(reference.alias, aliases)} {known}"
        )
    chosen = aliases.get(reference.alias) or aliases.get(CHAMPION) or aliases.get(CHALLENGER)
    number = reference.version or chosen
    if not number:
        raise TrackingError(f"{reference.name!r} has no champion and no challenger: name a version, as in name/1.")
    try:
        return client.get_model_version(reference.name, number)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = ", ".join(str(version.version) for version in all_versions(client, reference.name)) or "none"
        raise TrackingError(f"{reference.name!r} has no version {number}. It has {known}.") from error


def all_models(client: MlflowClient) -> list[RegisteredModel]:
    """Return all registered models, by name."""
    found = every(lambda token: client.search_registered_models(page_token=token))
    return sorted(found, key=lambda model: str(model.name))


def all_versions(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Return all versions of `name`, newest first."""
    return every(
        lambda token: client.search_model_versions(
            f"name = '{name}'", order_by=["version_number DESC"], page_token=token
        )
    )


def every(search: Callable[[str | None], Any]) -> list[Any]:
    """Return what all pages of a search hold.

    Args:
        search: Gives the page with a token, None for the first.
    """
    page = search(None)
    found = list(page)
    while page.token:
        page = search(page.token)
        found += page
    return found
