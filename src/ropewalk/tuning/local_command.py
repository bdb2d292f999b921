"""What a trial runs on this machine: the line of its container, with the environment that the cluster would give it."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ropewalk.errors import ConfigError
from ropewalk.tuning.containers import primary_containers
from ropewalk.tuning.machine import Machine
from ropewalk.tuning.placeholders import fill, names_in
from ropewalk.tuning.process import WORK
from ropewalk.tuning.render import trial_parameters
from ropewalk.tuning.spec import Experiment, Value
from ropewalk.tuning.torchrun import DISTRIBUTED, Processes, processes_of, under_torchrun


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """How experiments run on this machine."""

    command: tuple[str, ...] = ()
    """Words of a command that trials run instead of their container's, with the same placeholders; none: theirs."""
    seed: int = 0
    """Seed of the suggestions, from 0; the algorithm's random_state goes before it."""
    cpus: int | None = None
    """Processors that trials share (OMP_NUM_THREADS of each is its part), from 1; absent: all."""
    gpus: int | None = None
    """GPUs that trials take in turn, from 0; absent: those that are there."""
    terminate_seconds: float = 10.0
    """How long a trial that is asked to end (SIGTERM) may take until it is made to (SIGKILL), from 0."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed}: need 0 or more.")
        if self.cpus is not None and self.cpus < 1:
            raise ConfigError(f"cpus={self.cpus}: need 1 or more.")
        if self.gpus is not None and self.gpus < 0:
            raise ConfigError(f"gpus={self.gpus}: need 0 or more.")
        if not self.terminate_seconds >= 0:
            raise ConfigError(f"terminate_seconds={self.terminate_seconds}: need 0 or more.")


@dataclass(frozen=True)
class LocalTrial:
    """What to run."""

    line: str
    """A line of shell."""
    env: dict[str, str] = field(repr=False)
    """The whole environment."""
    metrics_file: Path | None
    """The file that has the metrics; None: the log."""


class LocalCommands:
    """Makes the commands of an experiment's trials."""

    def __init__(self, experiment: Experiment, config: LocalConfig) -> None:
        """Look at the template.

        Raises:
            ConfigError: The local command has unknown placeholders, the metrics file is not named in what runs, or the
                trial's torchrun would wait for other nodes.
        """
        self._experiment, self._own = experiment, config.command
        self._container = primary_containers(experiment.trial)[0]
        self._line = shlex.join(self._own) if self._own else self._container.line
        self._machine = Machine(cpus=config.cpus, gpus=config.gpus)
        wanted = processes_of(experiment.trial)
        self._gpus, self._processes = wanted.nodes * wanted.gpus, 1
        self.notes = (*self._image_notes(), *self._distribute(wanted), *self._cluster_notes())
        """What is not as in the cluster."""
        known = [each.name for each in experiment.trial.parameters]
        if unknown := [name for name in names_in(list(self._own)) if name not in known]:
            raise ConfigError(f"The local command has {unknown[0]!r} in a placeholder; known are {', '.join(known)}.")
        source = experiment.metrics
        if source.kind == "File" and source.path not in f"{self._line} {self._plain_env()}":
            raise ConfigError(
                f"metrics.path={source.path}: neither command nor env of the trial names it, so trials cannot each get "
                "their own file here. Name it there, for instance --log-path=" + source.path + "."
            )

    def metrics_file(self, folder: Path) -> Path | None:
        """Return the file that has the metrics of the trial in `folder`, None for its log."""
        source = self._experiment.metrics
        return folder.absolute() / WORK / source.path.lstrip("/") if source.kind == "File" else None

    def trial(self, folder: Path, *, name: str, values: Mapping[str, Value], slot: int) -> LocalTrial:
        """Return what the trial `name` runs in `folder`, which is there; `slot` is its place among those that run."""
        texts = trial_parameters(self._experiment, name=name, values=values)
        line = shlex.join(fill(list(self._own), texts)) if self._own else fill(self._line, texts)
        parallel = self._experiment.limits.parallel
        machine = self._machine.env(slot, parallel=parallel, processes=self._processes, gpus=self._gpus)
        env = {"PATH": _own_path(), **machine, **self._plain_env(), "KATIB_TRIAL_NAME": name}
        env = {key: fill(value, texts) for key, value in env.items()}
        metrics_file = self.metrics_file(folder)
        if metrics_file is not None:
            path = self._experiment.metrics.path
            metrics_file.parent.mkdir(parents=True, exist_ok=True)
            # Relative to where the trial starts: nothing in it needs quotes.
            line = line.replace(path, f".{path}")
            env = {key: value.replace(path, str(metrics_file)) for key, value in env.items()}
        return LocalTrial(line, {**os.environ, **env}, metrics_file)

    def _image_notes(self) -> Iterator[str]:
        image = self._container.spec.get("image")
        if image and not self._own:
            yield f"Trials run the command on this machine; the image {image} is not used."

    def _distribute(self, wanted: Processes) -> list[str]:
        """Have the processes of a distributed job find each other; return what to tell of them."""
        kind = self._experiment.trial.manifest.get("kind")
        if kind not in DISTRIBUTED or self._own:
            return []
        machine = self._machine
        count = min(wanted.count, len(machine.gpus) if wanted.gpus and machine.gpus else machine.cpus)
        line = under_torchrun(self._line, count)
        if line is None:
            return [f"The command of this {kind} is no single one of Python or torchrun: trials run it as it is, once."]
        self._line, self._processes = line, count
        shown = f"{count} process{'es' * (count > 1)}"
        cluster = "" if count == wanted.count else f"; the cluster gives {wanted.count}, so batches there are larger"
        return [f"Each trial of this {kind} has {shown} under torchrun{cluster}."]

    def _cluster_notes(self) -> Iterator[str]:
        missing = [each["name"] for each in self._env() if "valueFrom" in each and each["name"] not in os.environ]
        if missing:
            yield f"The variables {', '.join(missing)} come from the cluster and are not set here."
        spec = self._container.spec
        if spec.get("envFrom"):
            yield "The variables of the container's envFrom come from the cluster and are not set here."
        if mounts := [str(each.get("mountPath")) for each in spec.get("volumeMounts") or [] if not self._own]:
            yield f"The volumes at {', '.join(mounts)} are the cluster's and not mounted here."
        if spec.get("workingDir") and not self._own:
            yield f"Each trial starts in a folder of its own, not in {spec['workingDir']}."

    def _env(self) -> list[Mapping[str, Any]]:
        found = self._container.spec.get("env")
        return [each for each in found or [] if isinstance(each, Mapping) and "name" in each]

    def _plain_env(self) -> dict[str, str]:
        return {each["name"]: str(each["value"]) for each in self._env() if each.get("value") is not None}


def _own_path() -> str:
    """Return PATH with the folder of this Python in front, whose `python` and `torchrun` stand in for the image's."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
