"""What does the local engine of tuning cost, and how good are its suggestions?

- Overhead: wall time of an experiment of short trials, one after another, less that of the same command by hand.
- Parallel: how much faster 12 equal trials that mostly wait are with two at a time.
- Quality: the median over seeds of the best value on four standard functions, beside Optuna's own sampler of that name
  used directly, and beside random search.

    python benchmarks/tuning.py [--rounds 5] [--seeds 20] [--results FILE]
"""

import argparse
import itertools
import json
import math
import os
import platform
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ropewalk.tuning.following import follow
from ropewalk.tuning.local import LocalEngine
from ropewalk.tuning.parse import parse_experiment
from ropewalk.tuning.spec import Experiment
from ropewalk.tuning.suggestions import make_suggester

LINE = 'sleep 0.5; echo "loss=$0"'
TRIALS = 12
BUDGET = 40
SAMPLERS = ("random", "tpe", "multivariate-tpe", "cmaes", "sobol", "bayesianoptimization")


def main() -> None:
    """Measure, print, and write to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm (default 5)")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of each sampler and function (default 20)")
    parser.add_argument("--samplers", nargs="*", default=SAMPLERS, choices=SAMPLERS, help="those that are compared")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    arguments = parser.parse_args()
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "engine": measure_engine(arguments.rounds),
        "quality": measure_quality(arguments.samplers, arguments.seeds),
    }
    if arguments.results:
        arguments.results.parent.mkdir(exist_ok=True)
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure_engine(rounds: int) -> dict[str, Any]:
    """Return seconds per trial that the engine adds, and how much two at a time gain; arms in turn."""
    by_hand, alone, paired = [], [], []
    for number in range(rounds):
        by_hand.append(run_by_hand())
        alone.append(run_engine(parallel=1))
        paired.append(run_engine(parallel=2))
        print(
            f"round {number + 1}: by hand {by_hand[-1]:.2f} s, one {alone[-1]:.2f} s, two at a time {paired[-1]:.2f} s"
        )
    overheads = [(one - hand) / TRIALS for one, hand in zip(alone, by_hand, strict=True)]
    gains = [one / two for one, two in zip(alone, paired, strict=True)]
    found = {
        "trials": TRIALS,
        "rounds": rounds,
        "overhead_per_trial_s": statistics.median(overheads),
        "times_faster_two_at_a_time": statistics.median(gains),
        "overheads_s": overheads,
        "gains": gains,
    }
    print(f"overhead per trial {found['overhead_per_trial_s']:.3f} s (bar 0.3)")
    print(f"two at a time {found['times_faster_two_at_a_time']:.2f} times as fast (bar 1.7)\n")
    return found


def run_by_hand() -> float:
    """Return the seconds of the same commands in a loop."""
    started = time.perf_counter()
    for number in range(TRIALS):
        subprocess.run(["sh", "-c", LINE, str(number)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def run_engine(*, parallel: int) -> float:
    """Return the seconds of an experiment from its start to its end."""
    made = space(1, "random", TRIALS, parallel)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        snapshot = follow(LocalEngine(Path(folder)), made, say=lambda _: None)
        seconds = time.perf_counter() - started
    assert [trial.state for trial in snapshot.trials] == ["succeeded"] * TRIALS
    return seconds


def space(dimensions: int, algorithm: str, trials: int, parallel: int = 1) -> Experiment:
    """Return an experiment over [-5, 5] in each dimension."""
    names = [f"x{place}" for place in range(dimensions)]
    return parse_experiment(
        {
            "name": "benchmark",
            "parameters": [{"name": name, "type": "double", "min": -5, "max": 5} for name in names],
            "objective": {"metric": "loss", "type": "minimize"},
            "algorithm": {"name": algorithm},
            "limits": {"max_trials": trials, "parallel": parallel},
            "trial": {"command": ["sh", "-c", LINE, *(f"${{trialParameters.{name}}}" for name in names)]},
        }
    )


def sphere(x: Sequence[float]) -> float:
    """Sum of squares, its least at 1, 1, ..."""
    return sum((value - 1) ** 2 for value in x)


def rosenbrock(x: Sequence[float]) -> float:
    """Rosenbrock 1960: a bent valley."""
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def rastrigin(x: Sequence[float]) -> float:
    """Rastrigin 1974, its least at 1, 1, ...: many pits."""
    return sum((v - 1) ** 2 - 10 * math.cos(2 * math.pi * (v - 1)) + 10 for v in x)


def ackley(x: Sequence[float]) -> float:
    """Ackley 1987, its least at 1, 1, ...: a narrow pit in a rough plain."""
    near = math.sqrt(statistics.fmean((value - 1) ** 2 for value in x))
    waves = statistics.fmean(math.cos(2 * math.pi * (value - 1)) for value in x)
    return 20 + math.e - 20 * math.exp(-0.2 * near) - math.exp(waves)


FUNCTIONS: tuple[Callable[[Sequence[float]], float], ...] = (sphere, rosenbrock, rastrigin, ackley)


def measure_quality(samplers: Sequence[str], seeds: int) -> list[dict[str, Any]]:
    """Return, per function and sampler, the medians of the best values: ours, Optuna's, random's."""
    found = []
    for function in FUNCTIONS:
        chance = statistics.median(best_of_ours("random", function, seed) for seed in range(seeds))
        for sampler in samplers:
            ours = statistics.median(best_of_ours(sampler, function, seed) for seed in range(seeds))
            optunas = statistics.median(best_of_optuna(sampler, function, seed) for seed in range(seeds))
            row = {"function": function.__name__, "sampler": sampler, "ours": ours, "optuna": optunas, "random": chance}
            found.append({**row, "seeds": seeds, "trials": BUDGET})
            print(
                f"{function.__name__:<12}{sampler:<22}ours {ours:10.4g}  optuna {optunas:10.4g}  random {chance:10.4g}"
            )
    return found


def best_of_ours(sampler: str, function: Callable[[Sequence[float]], float], seed: int) -> float:
    """Return the best value that our suggestions find."""
    suggester = make_suggester(space(2, sampler, BUDGET), seed)
    best = math.inf
    for number in range(BUDGET):
        values = suggester.ask()
        assert isinstance(values, dict), "these samplers always have a suggestion"
        value = function([float(each) for each in values.values()])
        suggester.tell(number, value)
        best = min(best, value)
    return best


def best_of_optuna(sampler: str, function: Callable[[Sequence[float]], float], seed: int) -> float:
    """Return the best value of Optuna's sampler as Optuna's own loop uses it."""
    import optuna
    from optuna import samplers

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = {
            "random": lambda: samplers.RandomSampler(seed=seed),
            "tpe": lambda: samplers.TPESampler(seed=seed, multivariate=False),
            "multivariate-tpe": lambda: samplers.TPESampler(seed=seed, multivariate=True),
            "cmaes": lambda: samplers.CmaEsSampler(seed=seed),
            "sobol": lambda: samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed),
            "bayesianoptimization": lambda: samplers.GPSampler(seed=seed),
        }[sampler]()
        study = optuna.create_study(sampler=made)
        study.optimize(
            lambda trial: function([trial.suggest_float(f"x{place}", -5, 5) for place in range(2)]), n_trials=BUDGET
        )
    return float(study.best_value)


if __name__ == "__main__":
    main()
