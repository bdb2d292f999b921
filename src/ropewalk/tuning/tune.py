"""Tuning without a pipeline: an experiment in, the best parameters, a table and a page out."""

import shlex
from pathlib import Path

from ropewalk.errors import RunError
from ropewalk.progress import say
from ropewalk.tuning.engine import Snapshot
from ropewalk.tuning.engines import choose_engine
from ropewalk.tuning.following import follow
from ropewalk.tuning.local import LocalEngine
from ropewalk.tuning.local_command import LocalConfig
from ropewalk.tuning.parse import read_experiment
from ropewalk.tuning.profile import LOCAL, EngineName
from ropewalk.tuning.results import PAGE, Result, result_of, write_result, write_tables
from ropewalk.tuning.spec import Experiment


def tune(
    experiment: Path,
    *,
    results: Path,
    command: str = "",
    seed: int = 0,
    cpus: int | None = None,
    gpus: int | None = None,
    engine: EngineName = "auto",
    namespace: str = "",
) -> Result:
    """Run an experiment and return its best trial; run again, it goes on where it was.

    Args:
        experiment: YAML or JSON: Ropewalk's form, or a whole Katib Experiment.
        results: Folder of the journal, trials.csv, trials.parquet, result.json, report.html, and a folder per trial.
        command: Run by trials of this machine instead of their container's command, with its placeholders, in the words
            of a shell.
        seed: Seed of the suggestions, from 0; the algorithm's random_state goes before it.
        cpus: Processors that trials share, from 1; by default all.
        gpus: GPUs that trials take in turn, from 0; by default all.
        engine: "local" runs trials on this machine, "katib" on the cluster of this pod or of the kubeconfig; "auto" is
            katib in a pod of a cluster that has it, else local.
        namespace: Of the cluster; "" is the experiment's own, else that of the pod or of the kubeconfig.

    Raises:
        ConfigError: The experiment is wrong, or another one is in `results`.
        RunError: No trial gave a finite value, or as many failed as must not; the table is written then too.
        ClusterError: The cluster refused, or what runs there failed.
        ServiceError: The cluster does not answer; run again, and it goes on.
    """
    spec = read_experiment(experiment)
    config = LocalConfig(command=tuple(shlex.split(command)), seed=seed, cpus=cpus, gpus=gpus)
    choice = choose_engine(engine, namespace=namespace)
    say(f"engine {choice.engine}: {choice.why}")
    if choice.engine == LOCAL:
        return _written(spec, follow(LocalEngine(results, config), spec, say=say), results)
    from ropewalk.tuning.katib_config import KatibConfig
    from ropewalk.tuning.katib_engine import KatibEngine

    cluster = KatibEngine(KatibConfig(namespace=namespace))
    snapshot = follow(cluster, spec, say=say)
    try:
        result = _written(spec, snapshot, results)
    except RunError:
        cluster.clean_up(succeeded=False)
        raise
    cluster.clean_up(succeeded=True)
    return result


def _written(spec: Experiment, snapshot: Snapshot, results: Path) -> Result:
    """Write the tables, then the page and the result, if there is one."""
    write_tables(spec, snapshot, results)
    result = result_of(spec, snapshot)

    from ropewalk.report.page import write_page
    from ropewalk.tuning.page import tuning_page

    write_page(results / PAGE, tuning_page(spec, snapshot, result))
    write_result(result, results)
    return result
