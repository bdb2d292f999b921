"""Ends containers that a run has left: its own when it ends, and those of runs that were killed."""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound

from ropewalk.launch.containers.engine import Engine
from ropewalk.launch.runs import is_alive

RUN_LABEL = "io.ropewalk.run"
"""Label of each container: the folder of its run."""
GRACE_SECONDS = 4
"""How long a step may clean up after SIGTERM before it is killed."""
MEMORY_FILES = Path("/dev/shm")  # noqa: S108 - files there never reach a disk


def stop_run(engine: Engine, run_folder: Path) -> None:
    """Stop and remove every container of a run, and its files in memory."""
    _remove(engine, lambda label: label == str(run_folder))
    for file in MEMORY_FILES.glob(f"{memory_file_prefix(run_folder)}*"):
        file.unlink(missing_ok=True)


def stop_dead_runs(engine: Engine, home: Path) -> None:
    """Stop and remove the containers of runs that were killed: those in `home`, and any whose folder is here."""

    def is_dead(label: str) -> bool:
        folder = Path(label)
        return (folder.is_dir() or folder.parent.parent == home) and not is_alive(folder)

    _remove(engine, is_dead)
    for folder in (home / "runs").glob("*"):
        leftovers = list(MEMORY_FILES.glob(f"{memory_file_prefix(folder)}*"))
        if leftovers and not is_alive(folder):
            for file in leftovers:
                file.unlink(missing_ok=True)


def memory_file_prefix(run_folder: Path) -> str:
    """Return how the names of a run's files in memory begin."""
    return f"ropewalk-{os.getuid()}-{run_folder.name}-"


def _remove(engine: Engine, wanted: Callable[[str], bool]) -> None:
    with contextlib.closing(engine.connect()) as client:
        found = client.api.containers(all=True, filters={"label": RUN_LABEL})
        ours = [each for each in found if wanted(each["Labels"][RUN_LABEL])]
    if ours:
        with ThreadPoolExecutor(len(ours)) as pool:
            list(pool.map(lambda each: _remove_one(engine, each), ours))


def _remove_one(engine: Engine, found: dict[str, Any]) -> None:
    with contextlib.closing(engine.connect()) as client:
        remove_container(client, found["Id"])


def remove_container(client: DockerClient, container: str) -> None:
    """Stop a container, gently at first, and remove it; one that is gone already is as good."""
    try:
        client.api.stop(container, timeout=GRACE_SECONDS)
        client.api.remove_container(container, v=True, force=True)
    except NotFound:
        return
    except APIError as error:
        # Somebody else is removing it at this moment.
        if error.status_code != 409:
            raise
