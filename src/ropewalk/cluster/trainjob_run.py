"""Runs a planned TrainJob to its end, with its first process's log in ours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ropewalk.cluster.access import TRAINING, granted_permissions
from ropewalk.cluster.connection import Cluster
from ropewalk.cluster.launch import Progress, finished
from ropewalk.cluster.pods import PodGroup
from ropewalk.cluster.resource import Plan
from ropewalk.cluster.trainjob import CONTAINER, RANK_LABEL, TrainJobConfig
from ropewalk.progress import say


@contextmanager
def trained(cluster: Cluster, plan: Plan, *, config: TrainJobConfig) -> Iterator[Mapping[str, Any]]:
    """Yield the TrainJob once it has succeeded; the block takes what it made. See `launch.finished`."""
    cluster.require(granted_permissions(TRAINING))
    say(f"{plan.type.kind} {plan.name} in namespace {cluster.namespace}: {config.nodes} pod(s)")
    pods = PodGroup(
        cluster,
        name=plan.name,
        labels={"jobset.sigs.k8s.io/jobset-name": plan.name, "jobset.sigs.k8s.io/replicatedjob-name": CONTAINER},
        rank_label=RANK_LABEL,
        container=CONTAINER,
        start_timeout=config.start_timeout_seconds,
        on_line=lambda line: say(f"[rank 0] {line}"),
        on_notice=say,
    )
    with finished(cluster, plan, observer=pods, on_progress=_say_progress, cleanup=config.cleanup) as resource:
        yield resource


def _say_progress(progress: Progress) -> None:
    say(f"{progress.name} is {progress.state} after {progress.seconds:.0f} s")
