"""Fetches a run's pages, its HTML and Markdown outputs, from where KFP keeps artifacts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ropewalk.artifacts import disk_errors
from ropewalk.launch.client.tasks import leaves
from ropewalk.remote_artifacts import open_storage, storage_errors

DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
"""KFP's own (backend/src/v2/config/env.go)."""
_SUFFIXES = {"system.HTML": ".html", "system.Markdown": ".md"}


def download_reports(run: Mapping[str, Any], spec: Mapping[str, Any], folder: Path, *, root: str = "") -> list[Path]:
    """Write the pages that the run's steps made to `folder`, and return their paths.

    KFP keeps an output at <pipeline root>/<pipeline>/<run>/<task>/<number>/<output> (backend/src/v2/driver/driver.go);
    the outputs of a step that was taken from the cache are at the run that made them, and are not fetched.

    Args:
        run: The answer of the API.
        spec: The compiled pipeline.
        folder: Where to; it is made.
        root: The pipeline root; "" is the run's, the pipeline's, or KFP's default.

    Raises:
        ConfigError, SourceError, ServiceError: The storage is unknown, does not let us in, or cannot be reached.
    """
    chosen = root or (run.get("runtime_config") or {}).get("pipeline_root") or spec.get("defaultPipelineRoot")
    base = f"{str(chosen or DEFAULT_ROOT).partition('?')[0].rstrip('/')}/{spec['pipelineInfo']['name']}/{run['run_id']}"
    wanted = dict(_pages(spec))
    folder.mkdir(parents=True, exist_ok=True)
    with storage_errors(base), disk_errors(folder):
        storage, start = open_storage(base)
        found: dict[tuple[str, str], list[str]] = {}
        for file in sorted(storage.find(start)):
            task, *_, output = file.removeprefix(start).strip("/").split("/")
            if (task, output) in wanted:
                found.setdefault((task, output), []).append(file)
        return [
            _fetch(storage, file, folder / _name(key, number, wanted[key]))
            for key, files in found.items()
            for number, file in enumerate(files, start=1)
        ]


def _pages(spec: Mapping[str, Any]) -> list[tuple[tuple[str, str], str]]:
    return [
        ((task, output), _SUFFIXES[title])
        for task, component in leaves(spec)
        for output, entry in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        if (title := entry["artifactType"].get("schemaTitle", "")) in _SUFFIXES
    ]


def _name(key: tuple[str, str], number: int, suffix: str) -> str:
    return "-".join(key) + (f"-{number}" if number > 1 else "") + suffix


def _fetch(storage: Any, file: str, path: Path) -> Path:
    draft = path.with_name(f"{path.name}.partial")
    storage.get_file(file, str(draft))
    draft.replace(path)
    return path
