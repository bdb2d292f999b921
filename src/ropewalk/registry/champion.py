"""Champion: the version of a registered model that is in use, fetched to be compared with a new one."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import yaml

from ropewalk import tracking
from ropewalk.artifacts import CHAMPION, Manifest, disk_errors, write_artifact
from ropewalk.errors import ArtifactError, RopewalkError, ServiceError, StorageError
from ropewalk.progress import say
from ropewalk.quick_exit import skip_last_collection
from ropewalk.registry.aliases import CHAMPION as ALIAS
from ropewalk.registry.lineage import DIGEST_TAG
from ropewalk.registry.names import check_model_name
from ropewalk.tracking import connect, first_contact, store_exists, tracking_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

MODEL_FOLDER = "model"
"""Folder in the champion artifact that holds the model artifact; absent when it cannot be loaded."""

_MISSING = re.compile(r"\b404\b|not found|no such|NoSuchKey|does not exist", re.IGNORECASE)
_LONGEST = 1500
_STRANGE = (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version that is in use."""

    version: str
    """Its number in the registry."""
    run_id: str
    """MLflow run that made it; empty when it was registered without one."""
    digest: str
    """Digest of its model artifact; empty when Ropewalk did not register it."""
    model: Path | None
    """Its model artifact, every byte verified; None when it cannot be loaded."""
    problem: str
    """Why it cannot be loaded; empty when it can."""


def fetch_champion(name: str, tracking_uri: str, folder: Path) -> Champion | None:
    """Return the champion of the registered model `name`, its model artifact downloaded to `folder`; None without one.

    A champion whose files are damaged, or that this release cannot load, is returned without a model.

    Args:
        name: Name of the registered model.
        tracking_uri: MLflow server or sqlite store; empty: $MLFLOW_TRACKING_URI, else the embedded store.
        folder: The folder to make; the one above it must exist.

    Raises:
        ConfigError: The name or the URI cannot be used.
        TrackingError: MLflow refused.
        ServiceError: MLflow cannot be reached; a champion that is not there now may be there later.
        StorageError: The disk is full.
    """
    name = check_model_name(name)
    uri = tracking.tracking_uri(tracking_uri)
    if not store_exists(uri):
        return None
    client = connect(uri)
    with tracking_errors(uri), first_contact():
        version = _find(client, name)
    if version is None:
        return None
    digest = version.tags.get(DIGEST_TAG, "")
    problem = ""
    try:
        _download(version, uri, digest=digest, folder=folder)
        _check(folder, digest)
    except (ServiceError, StorageError):
        raise
    except RopewalkError as error:
        problem = str(error)
        shutil.rmtree(folder, ignore_errors=True)
    return Champion(
        version=str(version.version),
        run_id=version.run_id or "",
        digest=digest,
        model=None if problem else folder,
        problem=problem,
    )


def fetch(*, output: Path, name: str = "model", tracking_uri: str = "") -> Manifest:
    """Write the champion of a registered model as the artifact `output`, without files when there is none.

    Its facts are `name`, `version`, `digest`, `run_id` and `problem`; version is "" without a champion, and problem
    tells why there is no model although there is one.

    Args:
        output: The artifact to make; the model is its folder `model`.
        name: Name of the registered model.
        tracking_uri: MLflow server or sqlite store; empty: $MLFLOW_TRACKING_URI, else the embedded store.

    Raises:
        ConfigError: The name or the URI cannot be used.
        TrackingError: MLflow refused.
        ServiceError: MLflow cannot be reached.
        StorageError: The disk is full.
    """
    skip_last_collection()
    with write_artifact(output, CHAMPION) as draft:
        found = fetch_champion(name, tracking_uri, draft.folder / MODEL_FOLDER)
        facts = ("version", "digest", "run_id", "problem")
        draft.facts |= {"name": name} | {fact: getattr(found, fact, "") for fact in facts}
    say(_told(name, found))
    return draft.manifest


def _told(name: str, found: Champion | None) -> str:
    if found is None:
        return f"{name!r} has no champion yet."
    said = f"The champion of {name!r} is version {found.version}"
    return f"{said}, which cannot be compared with: {found.problem}" if found.problem else f"{said}."


def _find(client: MlflowClient, name: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        aliases = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return client.get_model_version(name, str(aliases[ALIAS])) if ALIAS in aliases else None


def _download(version: ModelVersion, uri: str, *, digest: str, folder: Path) -> None:
    if not digest:
        raise ArtifactError(
            f"Version {version.version} was not registered by Ropewalk: it has no tag {DIGEST_TAG!r}. "
            f"Point the alias {ALIAS!r} to one that was, or register its successor without a comparison."
        )
    with tempfile.TemporaryDirectory(prefix="ropewalk-", dir=folder.parent) as temporary, disk_errors(folder):
        description = _fetched(f"{version.source}/MLmodel", uri, Path(temporary))
        place = _model_place(description.read_text(encoding="utf-8"))
        _fetched(f"{version.source}/{place}", uri, Path(temporary)).rename(folder)


def _fetched(artifact: str, uri: str, folder: Path) -> Path:
    """Download one artifact; every kind of artifact store has exceptions of its own.

    Raises:
        ArtifactError: The store does not have it.
        ServiceError: Anything else: who cannot look must not say that there is nothing.
        StorageError: The disk is full.
    """
    from mlflow.artifacts import download_artifacts

    try:
        return Path(download_artifacts(artifact_uri=artifact, dst_path=str(folder), tracking_uri=uri))
    except Exception as error:
        reason = " ".join(str(error).split())[:_LONGEST]
        if "No space left" in reason:
            raise StorageError(f"Cannot write {folder}: the disk is full. Free some space and run again.") from error
        if _MISSING.search(reason) or isinstance(error, FileNotFoundError):
            raise ArtifactError(f"The artifact store no longer has {artifact}: {reason}") from error
        raise ServiceError(
            f"{artifact} cannot be downloaded by way of MLflow at {uri}: {reason} Check the artifact store and, if "
            "this step reads it itself, its credentials; then run again."
        ) from error


def _model_place(description: str) -> PurePosixPath:
    try:
        flavor = yaml.safe_load(description)["flavors"]["python_function"]
        place = PurePosixPath(flavor["artifacts"]["model"]["path"])
    except (yaml.YAMLError, LookupError, TypeError) as error:
        raise ArtifactError(f"Its MLmodel names no model of Ropewalk's ({error!r}).") from error
    if place.is_absolute() or ".." in place.parts:
        raise ArtifactError(f"Its MLmodel names a model outside of the package: {place}.")
    return place


def _check(folder: Path, digest: str) -> None:
    """Load the model, as that is the one sure way to know that this release can.

    Raises:
        ArtifactError: It cannot be loaded, or is another model than the registry says.
    """
    from ropewalk.training.model import load_model

    try:
        found = load_model(folder).manifest.digest
    except _STRANGE as error:
        if isinstance(error, RopewalkError):
            raise
        raise ArtifactError(
            f"It cannot be loaded by this release ({type(error).__name__}: {error}); it was probably made by another."
        ) from error
    if found != digest:
        raise ArtifactError(
            f"Its files are another model than the registry says (digest {found[:12]}, not {digest[:12]})."
        )
