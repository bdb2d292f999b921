"""Runs an experiment on a cluster, by Katib."""

from __future__ import annotations

from ropewalk.cluster.connection import Cluster
from ropewalk.tuning.engine import End, Snapshot
from ropewalk.tuning.katib_config import KatibConfig
from ropewalk.tuning.spec import Experiment


class KatibEngine:
    """Runs trials as resources of a cluster: an Experiment of Katib's, created or adopted.

    `follow` it like any engine; once the results are written, `clean_up` deletes the experiment by policy.
    """

    name = "katib"

    def __init__(self, config: KatibConfig = KatibConfig(), cluster: Cluster | None = None) -> None:  # noqa: B008
        """Run experiments in `cluster`, by default that of this pod or of the kubeconfig context."""
        self._config = config
        self._cluster = cluster

    def start(self, experiment: Experiment) -> None:
        """Create the experiment, or go on with the one that is there with the same spec.

        Raises:
            ConfigError: The experiment is wrong, or there is no cluster.
            ClusterError: Another one of its name is there, a permission is missing, or the cluster refuses it.
            ServiceError: The API server does not answer.
        """
        raise NotImplementedError

    def poll(self) -> Snapshot:
        """Return how it stands, as soon as it changes, else after some seconds.

        Raises:
            ClusterError: It was deleted by someone else, is stuck, or Katib cannot go on with it.
            ServiceError: The API server does not answer; the experiment goes on.
        """
        raise NotImplementedError

    def stop(self, end: End | None = None) -> Snapshot:
        """End all running trials; without `end`, delete the experiment with one request, for a step that is ended."""
        raise NotImplementedError

    def clean_up(self, *, succeeded: bool) -> None:
        """Delete the experiment as `cleanup` says; to be called once its results are kept elsewhere."""
        raise NotImplementedError
