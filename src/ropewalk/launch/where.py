"""Where the steps of a run work: as processes of this machine, or in containers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import ConfigError
from ropewalk.launch.local import Containers

PROCESSES, CONTAINERS = "processes", "containers"


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where the steps of a run work."""

    place: str = PROCESSES
    """processes of this machine, or containers."""
    network: str = "auto"
    """Which steps in containers have a network: auto, on or off."""
    mounts: tuple[str, ...] = ()
    """Further files and folders that they see, each with ":rw" behind it to be written."""


@contextmanager
def plan_containers(where: Where, text: str, home: Path) -> Iterator[Containers | None]:
    """Yield how the containers of the compiled pipeline `text` are made; None when there are to be none.

    Raises:
        ConfigError: The machine or the images cannot do it; nothing was started.
        ServiceError: The container engine does not answer.
    """
    if where.place == PROCESSES:
        if where != Where():
            raise ConfigError("--network and --mount are for containers: add --in containers, or leave them out.")
        yield None
        return
    from ropewalk.launch.containers.plan import planned

    with planned(text, home=home, network=where.network, mounts=where.mounts) as plan:
        yield plan
