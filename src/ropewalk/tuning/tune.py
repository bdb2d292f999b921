"""The tuning step on this machine: an experiment in, the best parameters, a table and a page out."""

import shlex
from pathlib import Path

from ropewalk.progress import say
from ropewalk.tuning.following import follow
from ropewalk.tuning.local import LocalEngine
from ropewalk.tuning.local_command import LocalConfig
from ropewalk.tuning.parse import read_experiment
from ropewalk.tuning.results import PAGE, Result, result_of, write_result, write_tables


def tune(
    experiment: Path,
    *,
    results: Path,
    command: str = "",
    seed: int = 0,
    cpus: int | None = None,
    gpus: int | None = None,
) -> Result:
    """Run an experiment on this machine and return its best trial; run again, it goes on where it was.

    Args:
        experiment: YAML or JSON: Ropewalk's form, or a whole Katib Experiment.
        results: Folder of the journal, trials.csv, trials.parquet, result.json, report.html, and a folder per trial.
        command: Run by trials instead of their container's command, with its placeholders, in the words of a shell.
        seed: Seed of the suggestions, from 0; the algorithm's random_state goes before it.
        cpus: Processors that trials share, from 1; by default all.
        gpus: GPUs that trials take in turn, from 0; by default all.

    Raises:
        ConfigError: The experiment is wrong, or another one is in `results`.
        RunError: No trial gave a finite value, or as many failed as must not; the table is written then too.
    """
    spec = read_experiment(experiment)
    config = LocalConfig(command=tuple(shlex.split(command)), seed=seed, cpus=cpus, gpus=gpus)
    snapshot = follow(LocalEngine(results, config), spec, say=say)
    write_tables(spec, snapshot, results)
    result = result_of(spec, snapshot)

    from ropewalk.report.page import write_page
    from ropewalk.tuning.page import tuning_page

    write_page(results / PAGE, tuning_page(spec, snapshot, result))
    write_result(result, results)
    return result
