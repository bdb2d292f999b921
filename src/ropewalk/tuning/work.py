"""What a search needs of the place where it runs: an engine, the data where trials see them, and an end."""

import hashlib
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ropewalk import images
from ropewalk.artifacts import PREPROCESSOR, SPLIT, disk_errors
from ropewalk.cluster.step_settings import with_step
from ropewalk.errors import ConfigError
from ropewalk.remote_artifacts import download_artifact, local_path, remove_artifact
from ropewalk.training.launch import Location
from ropewalk.tuning.engine import Engine, Snapshot
from ropewalk.tuning.katib_engine import KatibEngine
from ropewalk.tuning.local import LocalEngine
from ropewalk.tuning.local_command import LocalConfig
from ropewalk.tuning.machine import Machine
from ropewalk.tuning.profile import TuneProfile
from ropewalk.tuning.spec import Experiment, TrialTemplate
from ropewalk.tuning.training_trials import Places, Search, plan_experiment
from ropewalk.tuning.trial_templates import job_template, pytorch_job_template, train_job_template

KINDS = {"train": SPLIT, "validation": SPLIT, "preprocessor": PREPROCESSOR}
"""What trials are given."""

_MOST_PARALLEL = 4
"""Trials at once on this machine, where nobody says how many: each of them holds the table in memory."""
_KATIB_PARALLEL = 3
"""Katib's own default."""
_TERMINATE_SECONDS = 3.0
"""How long a trial that is told to end may write its checkpoint: less than what a stopped step is given itself."""
_READ_ONLY = 0o444


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the step was given."""

    locations: Mapping[str, Location]
    """The artifacts train, validation and preprocessor."""
    digests: Mapping[str, str]
    """Their digests (hex)."""
    task: str
    """"binary", "multiclass" or "regression"."""
    output: Location
    """Where the table of trials goes; what is kept meanwhile lies beside it."""
    identity: str
    """What the experiment is for: the same in every retry of the step, and in no other step."""

    def places(self, where: Callable[[str], str], models: str) -> Places:
        """Return where trials find the data: at `where(name)`, with the digests that they must have there."""
        return Places(**{name: f"{where(name)}#{digest}" for name, digest in self.digests.items()}, models=models)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A search that can be followed."""

    experiment: Experiment
    """What runs."""
    engine: Engine
    """Where it runs."""
    places: Places
    """Where trials find the data and leave their models."""
    folder: Path
    """A folder of this machine for what is kept meanwhile."""
    close: Callable[..., None] = field(default=lambda **_: None)
    """To be called with `succeeded` when the results are taken, or there are none."""

    def remove_models(self, snapshot: Snapshot, *, kept: str) -> None:
        """Remove the models of all trials but one, and their checkpoints."""
        for trial in snapshot.trials:
            if trial.name != kept:
                remove_artifact(self.places.model(trial.name))
        folder = local_path(self.places.models)
        for leftover in folder.glob("*.checkpoint-*") if folder else ():
            shutil.rmtree(leftover)


def work_here(request: Search, inputs: Inputs) -> Work:
    """Return the search with trials as processes of this machine: they read the same files, copied nowhere."""
    folder = Path(f"{inputs.output.path}.work")
    if request.config.folder:
        # Several searches may be kept there.
        folder = Path(request.config.folder) / hashlib.sha256(inputs.identity.encode()).hexdigest()[:16]
    folder = folder.absolute()
    places = inputs.places(lambda name: str(Path(inputs.locations[name].path).absolute()), str(folder / "models"))
    machine = Machine()
    experiment = plan_experiment(
        request,
        places,
        task=inputs.task,
        parallel=request.config.parallel or min(_MOST_PARALLEL, len(machine.gpus) or machine.cpus),
        program=(sys.executable,),
        identity=inputs.identity,
    )
    with disk_errors(folder):
        Path(places.models).mkdir(parents=True, exist_ok=True)
    engine = LocalEngine(folder, LocalConfig(seed=request.seed, terminate_seconds=_TERMINATE_SECONDS))
    return Work(experiment=experiment, engine=engine, places=places, folder=folder)


def work_on_cluster(request: Search, inputs: Inputs, profile: TuneProfile, step: Mapping[str, Any]) -> Work:
    """Return the search with trials as pods, by Katib: they fetch the data from where the profile says.

    Args:
        request: What is asked for.
        inputs: What the step was given.
        profile: The cluster's settings.
        step: What was set on the pipeline step, as fragments of a pod's manifest.
    """
    folder = Path(f"{inputs.output.path}.work").absolute()
    if profile.shared_folder:
        places = _shared_places(inputs, Path(profile.shared_folder))
    else:
        _refuse_local(inputs)
        places = inputs.places(lambda name: inputs.locations[name].uri, f"{inputs.output.uri}.models")
    builders: dict[str, Callable[..., TrialTemplate]] = {
        "Job": job_template,
        "TrainJob": train_job_template,
        "PyTorchJob": pytorch_job_template,
    }
    experiment = plan_experiment(
        request,
        places,
        task=inputs.task,
        parallel=request.config.parallel or _KATIB_PARALLEL,
        program=("python",),
        identity=inputs.identity,
        build=partial(builders[profile.trial], image=images.TRAIN, config=profile.pods),
        dress=lambda template: replace(template, manifest=with_step(template.manifest, step)),
    )
    engine = KatibEngine(profile.katib)

    def close(*, succeeded: bool) -> None:
        engine.clean_up(succeeded=succeeded)
        if succeeded and profile.shared_folder:
            # A claim outlives the run; a failed one may be tried again and finds its copies.
            for name in inputs.locations:
                shutil.rmtree(Path(places.models).with_name(name))

    return Work(experiment=experiment, engine=engine, places=places, folder=folder, close=close)


def _refuse_local(inputs: Inputs) -> None:
    """Refuse data on this machine's own disk, which pods elsewhere do not see."""
    for name, location in inputs.locations.items():
        if local_path(location.uri) is not None:
            raise ConfigError(
                f"{name} is at {location.uri}, which pods of the cluster do not see. Run the pipeline on the cluster, "
                "set the profile's tune.shared_folder to a folder that this step and the trials mount, or use the "
                "engine 'local'."
            )


def _shared_places(inputs: Inputs, shared: Path) -> Places:
    """Copy the data to where trials see them, each byte checked and nobody's to change."""
    if not shared.is_dir():
        raise ConfigError(
            f"shared_folder={shared}: this step has no such folder. Mount the claim into the step, in the "
            "profile under volumes for tune-model, or give the pipeline a workspace."
        )
    root = shared / hashlib.sha256(inputs.identity.encode()).hexdigest()[:16]
    with disk_errors(root):
        (root / "models").mkdir(parents=True, exist_ok=True)
    for name, location in inputs.locations.items():
        if not (root / name).is_dir():
            download_artifact(location.path, root / name, KINDS[name])
            for file in (root / name).rglob("*"):
                if file.is_file():
                    file.chmod(_READ_ONLY)
    return inputs.places(lambda name: str(root / name), str(root / "models"))
