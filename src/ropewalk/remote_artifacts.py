"""Artifacts behind URIs: fetched whole and verified, or stored so that a reader never sees half of one.

Credentials come from the environment or the pod's identity, as the storage's own library reads them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ropewalk.artifacts import MANIFEST, Manifest, disk_errors, read_artifact
from ropewalk.errors import ArtifactError, ConfigError, ServiceError, SourceError

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_READ_ONLY = 0o444


def local_path(uri: str) -> Path | None:
    """Return the path that `uri` names on this machine or a mounted volume, None when it is elsewhere."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in uri else Path(uri)


def fsspec_uri(uri: str) -> str:
    """Return `uri` as fsspec knows it: KFP's minio:// is s3://, and the environment says where its server is.

    Raises:
        ConfigError: A minio:// URI, and no server in the environment.
    """
    if not uri.startswith("minio://"):
        return uri
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        raise ConfigError(
            f"{uri} names no server. Set AWS_ENDPOINT_URL to that of MinIO, such as "
            "http://minio-service.kubeflow:9000, in the cluster's settings."
        )
    return f"s3://{uri.removeprefix('minio://')}"


def fetch_artifact(uri: str, kind: str, *, digest: str = "") -> Path:
    """Return a folder with the artifact at `uri`, every byte checked against its manifest.

    What is on this machine stays where it is. All else is fetched once per machine, whoever asks first, to a folder
    that is named for its digest, with files that are read-only.

    Args:
        uri: A path, or a URI such as s3://bucket/folder, minio://bucket/folder or gs://bucket/folder.
        kind: The kind of artifact that is needed.
        digest: The artifact's digest (hex), as its manifest has it; "" is any.

    Raises:
        ArtifactError: It is missing, unfinished, altered, of another kind, or has another digest.
        ConfigError: The URI is of an unknown kind, or its library or endpoint is missing.
        SourceError: The storage does not let us in.
        ServiceError: The storage cannot be reached.
    """
    path = local_path(uri)
    if path is not None:
        _check(read_artifact(path, kind).digest, digest, uri)
        return path
    from filelock import FileLock

    with storage_errors(uri):
        found = _stored_digest(uri)
    _check(found, digest, uri)
    path = Path(tempfile.gettempdir()) / "ropewalk-artifacts" / f"{kind}-{found}"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Every process of this machine may ask at once; the lock goes with the process that dies.
    with FileLock(f"{path}.lock"):
        if not path.is_dir():
            download_artifact(uri, path, kind)
            for file in path.rglob("*"):
                if file.is_file():
                    file.chmod(_READ_ONLY)
    return path


def download_artifact(uri: str, path: Path, kind: str) -> Manifest:
    """Copy the artifact at `uri` to `path`, whole and verified or not at all, and return its manifest.

    Raises:
        ArtifactError, ConfigError, SourceError, ServiceError: As for `fetch_artifact`.
    """
    local = local_path(uri)
    if local == path:
        return read_artifact(path, kind)
    draft = path.with_name(f"{path.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    with storage_errors(uri), disk_errors(path):
        if local is not None:
            shutil.copytree(local, draft)
        else:
            _download(uri, draft)
    manifest = read_artifact(draft, kind)
    shutil.rmtree(path, ignore_errors=True)
    draft.rename(path)
    return manifest


def store_artifact(path: Path, uri: str, kind: str) -> None:
    """Copy the artifact at `path` to `uri`, its manifest last: what has a manifest is whole.

    An artifact with the same digest that is there already is left alone.

    Raises:
        ArtifactError, ConfigError, SourceError, ServiceError: As for `fetch_artifact`.
    """
    manifest = read_artifact(path, kind)
    with storage_errors(uri):
        storage, root = open_storage(uri)
        sealed = f"{root}/{MANIFEST}"
        if storage.exists(sealed):
            if _stored_digest(uri) == manifest.digest:
                return
            storage.rm_file(sealed)
        for name in (*manifest.files, MANIFEST):
            storage.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            storage.put_file(str(path / name), f"{root}/{name}")


def remove_artifact(uri: str) -> None:
    """Remove what is at `uri`, if anything is; its manifest first, so that nobody takes the rest for whole.

    Raises:
        ConfigError, SourceError, ServiceError: As for `fetch_artifact`.
    """
    with storage_errors(uri):
        storage, root = open_storage(uri)
        if storage.exists(f"{root}/{MANIFEST}"):
            storage.rm_file(f"{root}/{MANIFEST}")
        if storage.exists(root):
            storage.rm(root, recursive=True)


@contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """Turn what a storage's library raises into our errors, which name `uri` and what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{uri} holds no finished artifact ({error}). The step that makes it failed or was stopped; run it again."
        ) from error
    except PermissionError as error:
        raise SourceError(
            f"The storage does not let us at {uri}: {error}. Give the pod credentials: a service account with access, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY from a secret."
        ) from error
    except ImportError as error:
        raise ConfigError(f"{uri} needs a library that this image lacks: {error}") from error
    except OSError as error:
        raise ServiceError(f"The storage of {uri} cannot be reached or broke off: {error}. Run again.") from error
    except Exception as error:
        if not is_storage_librarys(error):
            raise
        raise ServiceError(
            f"The storage of {uri} cannot be used: {error}. Check endpoint and credentials (AWS_ENDPOINT_URL, "
            "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION), then run again."
        ) from error


def is_storage_librarys(error: Exception) -> bool:
    """Say whether an error is of a storage's library: botocore's (no credentials, ...) share no base with Python's."""
    return type(error).__module__.partition(".")[0] in ("aiobotocore", "botocore", "aiohttp", "gcsfs", "google")


def _check(found: str, digest: str, uri: str) -> None:
    if digest and found != digest:
        raise ArtifactError(
            f"{uri} holds another artifact than the step was given: its digest is {found}, expected {digest}. "
            "Something wrote over it; run the step that makes it again."
        )


def _stored_digest(uri: str) -> str:
    storage, root = open_storage(uri)
    return str(json.loads(storage.cat_file(f"{root}/{MANIFEST}"))["digest"])


def open_storage(uri: str) -> tuple[Any, str]:
    """Return the storage behind `uri`, and the path in it.

    Raises:
        ConfigError: The URI is of an unknown kind, or names no server.
    """
    from fsspec.core import url_to_fs

    try:
        storage, path = url_to_fs(fsspec_uri(uri).partition("?")[0])
    except ValueError as error:
        raise ConfigError(
            f"{uri} is of a kind that is not known here ({error}). Use a path, s3://, minio:// or gs://."
        ) from error
    return storage, path.rstrip("/")


def _download(uri: str, folder: Path) -> None:
    storage, root = open_storage(uri)
    folder.mkdir(parents=True)
    storage.get_file(f"{root}/{MANIFEST}", str(folder / MANIFEST))
    names = list(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"])
    for name in names:
        (folder / name).resolve().relative_to(folder.resolve())
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    storage.get([f"{root}/{name}" for name in names], [str(folder / name) for name in names])
