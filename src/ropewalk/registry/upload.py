"""Upload: a run's logged model, whole or not there, its weights on their way while the rest is done."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.errors import ServiceError
from ropewalk.progress import say
from ropewalk.registry import versions
from ropewalk.registry.description import ModelDescription
from ropewalk.registry.package import MODEL_PLACE, packaged
from ropewalk.registry.storage import store_errors
from ropewalk.tracking import RUN_ID_TAG, TrackedRun

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion


def upload(
    run: TrackedRun,
    trained: ModelDescription,
    folder: Path,
    *,
    name: str,
    tags: Mapping[str, str],
    meanwhile: Callable[[], None],
) -> LoggedModel | None:
    """Return the run's logged model, whole; None when another attempt at the same run was faster.

    What a killed attempt left of one stays until there is a version: it may as well be what another one is writing.

    Args:
        run: The pipeline's run.
        trained: What the model is.
        folder: Folder of the model artifact.
        name: Name of the registered model, which is created.
        tags: Tags of the logged model, the pipeline run's id and the model's digest among them.
        meanwhile: What else there is to do; done once, while the weights are on their way if they must be sent.

    Raises:
        ServiceError: The artifact store did not take the model.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.exceptions import MlflowException

    ready = [one for one in _logged_models(run, tags, name) if one.status == LoggedModelStatus.READY]
    if ready:
        meanwhile()
        return ready[0]
    created = run.client.create_logged_model(
        run.experiment_id, name=_logged_name(name), source_run_id=run.id, tags=dict(tags)
    )
    say("Uploading the model.")
    sending = _in_background(lambda: _send_weights(run, created.model_id, folder))
    versions.create_registered_model(run.client, name)
    meanwhile()
    try:
        run.client.log_outputs(run.id, [LoggedModelOutput(created.model_id, step=0)])
        package = packaged(trained, mlflow_run_id=run.id, model_id=created.model_id)
        with package as rest, store_errors(run.uri, "the model"):
            # First the weights, as two that write to one store at once trip over each other's folders.
            sending.result()
            run.client.log_model_artifacts(created.model_id, str(rest))
        return run.client.finalize_logged_model(created.model_id, LoggedModelStatus.READY)
    except (MlflowException, ServiceError):
        # The one that was faster has removed this one's logged model.
        if versions.find_version(run.client, name, run_id=tags[RUN_ID_TAG], digest=trained.manifest.digest) is None:
            raise
        return None


def remove_drafts(run: TrackedRun, version: ModelVersion, tags: Mapping[str, str]) -> None:
    """Remove what other attempts at the same run uploaded, or began to."""
    for other in _logged_models(run, tags, version.name):
        if other.artifact_location != version.source:
            run.client.delete_logged_model(other.model_id)


def _in_background(work: Callable[[], None]) -> Future[None]:
    """Begin `work` in a thread that nobody waits for when this process must end, as an executor's would be."""
    outcome: Future[None] = Future()

    def do() -> None:
        try:
            work()
            outcome.set_result(None)
        except BaseException as error:  # noqa: BLE001 (raised again where the outcome is asked for)
            outcome.set_exception(error)

    threading.Thread(target=do, name="upload", daemon=True).start()
    return outcome


def _send_weights(run: TrackedRun, model_id: str, folder: Path) -> None:
    """Upload the model artifact to its place in the package, from where it lies: linked, not copied."""
    with tempfile.TemporaryDirectory(prefix="ropewalk-") as temporary, store_errors(run.uri, "the model"):
        for file in folder.rglob("*"):
            if file.is_file():
                link = Path(temporary, MODEL_PLACE, file.relative_to(folder))
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.absolute())
        run.client.log_model_artifacts(model_id, temporary)


def _logged_models(run: TrackedRun, tags: Mapping[str, str], name: str) -> list[LoggedModel]:
    wanted = (
        f"source_run_id = '{run.id}' AND tags.`{RUN_ID_TAG}` = '{tags[RUN_ID_TAG]}' AND name = '{_logged_name(name)}'"
    )
    return list(run.client.search_logged_models([run.experiment_id], wanted))


def _logged_name(name: str) -> str:
    """Return the name of a logged model, which may hold no dot, unlike that of a registered one."""
    return name.replace(".", "-")
