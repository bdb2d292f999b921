"""How a run's containers are made: decided before it starts, kept in its folder, read by the process that runs it."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ropewalk.errors import ConfigError
from ropewalk.launch.containers.access import AUTO, Access
from ropewalk.launch.containers.engine import Engine, open_engine
from ropewalk.launch.containers.images import check_images
from ropewalk.launch.containers.limits import Limits, read_limits
from ropewalk.launch.containers.sweep import stop_dead_runs, stop_run
from ropewalk.launch.runs import CONTAINERS, write_whole

_WRITABLE = ":rw"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all containers of a run have in common."""

    engine: Engine
    images: dict[str, str]
    """The id of each image, by its name in the YAML: what is checked is what runs."""
    network: str = AUTO
    """auto, on or off: see `access`."""
    mounts: dict[str, bool] = field(default_factory=dict)
    """Further folders, absolute, and whether steps may write there."""

    def save(self, run_folder: Path) -> None:
        """Keep it in the folder of a run."""
        write_whole(run_folder / CONTAINERS, asdict(self))

    def stop(self, run_folder: Path) -> None:
        """Leave no container of that run behind."""
        stop_run(self.engine, run_folder)


@contextmanager
def planned(text: str, *, home: Path, network: str = AUTO, mounts: Iterable[str] = ()) -> Iterator[Plan]:
    """Yield the plan for the compiled pipeline `text`; while the block lasts, the engine answers.

    Args:
        text: The YAML.
        home: The state folder; containers of runs there that were killed are removed first.
        network: auto, on or off.
        mounts: Further files and folders, each with ":rw" behind it when steps may write there.

    Raises:
        ConfigError: See `make_plan`, or there is no engine.
        ServiceError: The engine does not answer.
    """
    with open_engine() as engine:
        plan = make_plan(engine, text, network=network, mounts=mounts)
        stop_dead_runs(engine, home)
        yield plan


def make_plan(engine: Engine, text: str, *, network: str, mounts: Iterable[str]) -> Plan:
    """Return the plan for the compiled pipeline `text`.

    Args:
        engine: What runs the containers.
        text: The YAML.
        network: auto, on or off.
        mounts: Further files and folders, each with ":rw" behind it when steps may write there.

    Raises:
        ConfigError: An image is missing or of another version, a Secret's variable is not set, there are too few GPUs,
            or something exists on a cluster only.
    """
    limits = read_limits(text)
    _check_secrets(limits)
    _check_gpus(limits)
    return Plan(
        engine=engine,
        images=check_images(engine, (each.image for each in limits.values())),
        network=network,
        mounts=_parse_mounts(mounts),
    )


def load_plan(run_folder: Path) -> Plan:
    """Return the plan that the folder of a run keeps."""
    content = json.loads((run_folder / CONTAINERS).read_text(encoding="utf-8"))
    return Plan(**{**content, "engine": Engine(**content["engine"])})


def _parse_mounts(mounts: Iterable[str]) -> dict[str, bool]:
    found = {}
    for text in mounts:
        path = Path(text.removesuffix(_WRITABLE)).absolute()
        if not path.exists():
            raise ConfigError(
                f"--mount {text}: there is no {path}. Name a file or folder, with {_WRITABLE} behind it to write."
            )
        Access().allow(path)
        found[str(path)] = text.endswith(_WRITABLE)
    return found


def _check_secrets(limits: Mapping[str, Limits]) -> None:
    missing = [
        f"{step} gets {name} from a Secret"
        for step, each in limits.items()
        for name, optional in each.secrets.items()
        if not optional and name not in os.environ
    ]
    if missing:
        raise ConfigError(
            "Variables of Secrets are taken from the environment, and some are not set; nothing was started:\n  - "
            + "\n  - ".join(missing)
            + "\nSet them, or run the pipeline compiled without that profile."
        )


def _check_gpus(limits: Mapping[str, Limits]) -> None:
    here = len([file for file in Path("/dev").glob("nvidia*") if file.name.removeprefix("nvidia").isdigit()])
    for step, each in limits.items():
        if each.gpus > here:
            raise ConfigError(
                f"The step {step} gets {each.gpus} GPU(s) in the compiled YAML, but this machine has {here}. Run the "
                "pipeline compiled without that profile: it then trains on processors."
            )
