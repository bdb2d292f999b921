"""Versions: one version of a registered model per pipeline run, whoever else tries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ropewalk.errors import TrackingError
from ropewalk.registry.lineage import DIGEST_TAG
from ropewalk.tracking import RUN_ID_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion


def find_version(client: MlflowClient, name: str, *, run_id: str, digest: str) -> ModelVersion | None:
    """Return the version of `name` that the run `run_id` made, the lowest of twins, or None.

    Raises:
        TrackingError: The run has registered another model under this name.
    """
    versions = _versions(client, name, run_id)
    if not versions:
        return None
    found = versions[0]
    known = found.tags.get(DIGEST_TAG, digest)
    if known != digest:
        raise TrackingError(
            f"The run {run_id!r} has already registered another model as version {found.version} of {name!r} (digest "
            f"{known[:12]}; this one has {digest[:12]}). Register this one under another name, or in a run of its own."
        )
    return found


def create_version(
    client: MlflowClient,
    name: str,
    *,
    model: LoggedModel,
    mlflow_run_id: str,
    run_id: str,
    tags: Mapping[str, str],
    description: str,
) -> ModelVersion:
    """Return the one version of `name` of the run `run_id`, created unless another attempt was faster.

    A request that is sent again because its answer was lost makes a twin. Version numbers are given out by the server
    in order, so twins agree on which of them stays: the lowest.
    """
    # The source is not written as models:/<id>: MLflow looks that up in the process's global store, not in this one.
    created = client.create_model_version(
        name,
        source=model.artifact_location,
        run_id=mlflow_run_id,
        model_id=model.model_id,
        tags=dict(tags),
        description=description,
    )
    first = (_versions(client, name, run_id) or [created])[0]
    if first.version != created.version:
        client.delete_model_version(name, str(created.version))
    return first


def create_registered_model(client: MlflowClient, name: str) -> None:
    """Make sure that the registry has a model called `name`."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=_ABOUT.format(name=name))
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise


def _versions(client: MlflowClient, name: str, run_id: str) -> list[ModelVersion]:
    found = client.search_model_versions(f"name = '{name}' and tags.`{RUN_ID_TAG}` = '{run_id}'")
    return sorted(found, key=lambda version: int(version.version))


_ABOUT = """\
Trained, evaluated and registered by Ropewalk. Every version tells its data, its run and its test metrics.

- `models:/{name}@champion`: the version in use
- `models:/{name}@challenger`: the newest version
- `models:/{name}@previous-champion`: the version that was in use before

```python
import mlflow
model = mlflow.pyfunc.load_model("models:/{name}@champion")
model.predict(rows)  # a pandas DataFrame of raw columns
```
"""
