"""What a cluster gives to tuning: which engine, and what the trials' pods are."""

from dataclasses import dataclass, field
from typing import Literal

from ropewalk.cluster.trainjob import TrainJobConfig
from ropewalk.errors import ConfigError
from ropewalk.tuning.katib_config import KatibConfig

AUTO, LOCAL, KATIB = "auto", "local", "katib"
EngineName = Literal["auto", "local", "katib"]


@dataclass(frozen=True, kw_only=True)
class TuneProfile:
    """One cluster's settings for tuning, the same for every search."""

    engine: EngineName = "auto"
    """"local": trials are processes of the step's own pod or machine; "katib": pods, by Katib; "auto": katib where the
    step runs in a pod and the cluster has Katib, else local."""
    trial: Literal["Job", "TrainJob", "PyTorchJob"] = "Job"
    """What one trial is on the cluster: a Job, or a job of several pods or processes that train one model."""
    pods: TrainJobConfig = field(default_factory=TrainJobConfig)
    """Image, resources, environment, claims and the rest of the trials' pods; nodes and processes for a TrainJob or
    PyTorchJob."""
    shared_folder: str = ""
    """Folder on a claim that the step and the trials mount at the same path, such as /kfp-workspace: trials read the
    splits there and leave their models; "": in the pipeline's own storage."""
    katib: KatibConfig = field(default_factory=KatibConfig)
    """How Katib runs experiments."""

    def __post_init__(self) -> None:
        if self.shared_folder and not self.shared_folder.startswith("/"):
            raise ConfigError(f"shared_folder={self.shared_folder!r}: need an absolute path, such as /kfp-workspace.")
