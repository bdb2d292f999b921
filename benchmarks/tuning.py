"""What does the local engine of tuning cost, and how good are its suggestions?

- Overhead: wall time of an experiment of short trials, one after another, less that of the same command by hand.
- Parallel: how much faster 12 equal trials that compute are with two at a time.
- Quality: the median over seeds of the best value on four standard functions, beside Optuna's own sampler of that name
  used directly, and beside random search. Seeded, so it does not depend on the machine or on what else runs there.

    python benchmarks/tuning.py [--parts engine quality] [--rounds 5] [--seeds 20] [--results FILE]

With --parts, the file keeps what it has of the other part; with --samplers, of the other samplers.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.tuning.following import follow
from ropewalk.tuning.local import LocalEngine
from ropewalk.tuning.parse import parse_experiment
from ropewalk.tuning.spec import Experiment
from ropewalk.tuning.suggestions import make_suggester

LINE = 'i=0; while [ "$i" -lt 400000 ]; do i=$((i + 1)); done; echo "loss=$0"'
"""About half a second of one processor."""
TRIALS = 12
SAMPLERS = ("random", "tpe", "multivariate-tpe", "cmaes", "sobol", "bayesianoptimization")
BUDGETS = {"bayesianoptimization": 30}
"""Trials of a search where it is not 60: fitting Gaussian processes takes time."""


def main() -> None:
    """Measure, print, and write to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", default=("engine", "quality"), choices=("engine", "quality"))
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm (default 5)")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of each sampler and function (default 20)")
    parser.add_argument("--samplers", nargs="*", default=SAMPLERS, choices=SAMPLERS, help="those that are compared")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that search (default: all cores)")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    if arguments.results and arguments.results.exists():
        figures = json.loads(arguments.results.read_text(encoding="utf-8"))
    figures["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    if "engine" in arguments.parts:
        figures["engine"] = measure_engine(arguments.rounds)
    if "quality" in arguments.parts:
        kept = [row for row in figures.get("quality", []) if row["sampler"] not in arguments.samplers]
        figures["quality"] = kept + measure_quality(arguments.samplers, arguments.seeds, arguments.jobs)
    if arguments.results:
        arguments.results.parent.mkdir(exist_ok=True)
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure_engine(rounds: int) -> dict[str, Any]:
    """Return seconds per trial that the engine adds, and how much two at a time gain; arms in turn."""
    by_hand, alone, paired, busy = [], [], [], []
    for number in range(rounds):
        by_hand.append(run_by_hand())
        before = resource.getrusage(resource.RUSAGE_SELF)
        alone.append(run_engine(parallel=1))
        after = resource.getrusage(resource.RUSAGE_SELF)
        busy.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / TRIALS)
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
        "engine_cpu_per_trial_s": statistics.median(busy),
        "times_faster_two_at_a_time": statistics.median(gains),
        "overheads_s": overheads,
        "gains": gains,
    }
    print(f"overhead per trial {found['overhead_per_trial_s']:.3f} s (bar 0.3)")
    print(f"the engine's own processor time per trial {found['engine_cpu_per_trial_s']:.3f} s")
    print(f"two at a time {found['times_faster_two_at_a_time']:.2f} times as fast (bar 1.7)\n")
    return found


def run_by_hand() -> float:
    """Return the seconds of the same commands in a loop."""
    started = time.perf_counter()
    for number in range(TRIALS):
        # In a session of its own, as the engine's trials: a busy Linux shares its processors out by session.
        command = ["sh", "-c", LINE, str(number)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, start_new_session=True)
    return time.perf_counter() - started


def run_engine(*, parallel: int) -> float:
    """Return the seconds of an experiment from its start to its end."""
    made = space(((-5, 5),), "random", TRIALS, parallel)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        snapshot = follow(LocalEngine(Path(folder)), made, say=lambda _: None)
        seconds = time.perf_counter() - started
    assert [trial.state for trial in snapshot.trials] == ["succeeded"] * TRIALS
    return seconds


def space(ranges: Sequence[tuple[float, float]], algorithm: str, trials: int, parallel: int = 1) -> Experiment:
    """Return an experiment over one double x0, x1, ... per range."""
    names = [f"x{place}" for place in range(len(ranges))]
    return parse_experiment(
        {
            "name": "benchmark",
            "parameters": [
                {"name": name, "type": "double", "min": low, "max": high}
                for name, (low, high) in zip(names, ranges, strict=True)
            ],
            "objective": {"metric": "loss", "type": "minimize"},
            "algorithm": {"name": algorithm},
            "limits": {"max_trials": trials, "parallel": parallel},
            "trial": {"command": ["sh", "-c", LINE, *(f"${{trialParameters.{name}}}" for name in names)]},
        }
    )


@dataclass(frozen=True)
class Function:
    """A test function over its usual ranges."""

    call: Callable[[Sequence[float]], float]
    """The function."""
    ranges: tuple[tuple[float, float], ...]
    """Least and greatest value of each variable."""
    least: float
    """The smallest value there is, from which distances are taken."""


def branin(x: Sequence[float]) -> float:
    """Branin 1972, in the constants of Dixon and Szego 1978: three equal pits."""
    bent = x[1] - 5.1 / (4 * math.pi**2) * x[0] ** 2 + 5 / math.pi * x[0] - 6
    return bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x[0]) + 10


def hartmann6(x: Sequence[float]) -> float:
    """Hartman 1973, in the constants of Dixon and Szego 1978: four pits in six dimensions."""
    heights = (1.0, 1.2, 3.0, 3.2)
    widths = (
        (10, 3, 17, 3.5, 1.7, 8),
        (0.05, 10, 17, 0.1, 8, 14),
        (3, 3.5, 1.7, 10, 17, 8),
        (17, 8, 0.05, 10, 0.1, 14),
    )
    centres = (
        (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
        (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
        (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
        (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
    )
    return -sum(
        height * math.exp(-sum(w * (v - c) ** 2 for w, v, c in zip(width, x, centre, strict=True)))
        for height, width, centre in zip(heights, widths, centres, strict=True)
    )


def rosenbrock(x: Sequence[float]) -> float:
    """Rosenbrock 1960: a bent valley."""
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def ackley(x: Sequence[float]) -> float:
    """Ackley 1987, its least at 1, 1, ...: a narrow pit in a rough plain."""
    near = math.sqrt(statistics.fmean((value - 1) ** 2 for value in x))
    waves = statistics.fmean(math.cos(2 * math.pi * (value - 1)) for value in x)
    return 20 + math.e - 20 * math.exp(-0.2 * near) - math.exp(waves)


FUNCTIONS = {
    "branin": Function(branin, ((-5, 10), (0, 15)), 0.397887),
    "hartmann6": Function(hartmann6, ((0, 1),) * 6, -3.32237),
    "rosenbrock": Function(rosenbrock, ((-5, 10),) * 2, 0.0),
    "ackley": Function(ackley, ((-32.768, 32.768),) * 2, 0.0),
}


def measure_quality(samplers: Sequence[str], seeds: int, jobs: int) -> list[dict[str, Any]]:
    """Return, per function and sampler, the medians of the best values: ours, Optuna's, random's."""
    found = []
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for sampler, name in itertools.product(samplers, FUNCTIONS):
            arms = {"ours": best_of_ours, "optuna": best_of_optuna, "random": best_of_chance}
            runs = {
                arm: [pool.submit(best, sampler, name, seed) for seed in range(seeds)] for arm, best in arms.items()
            }
            medians = {arm: statistics.median(each.result() for each in run) for arm, run in runs.items()}
            least = FUNCTIONS[name].least
            # How many times nearer to the least value than random search.
            margins = {arm: (medians["random"] - least) / (medians[arm] - least) for arm in ("ours", "optuna")}
            row = {"function": name, "sampler": sampler, "seeds": seeds, "trials": budget(sampler), **medians}
            found.append({**row, "ours_margin": margins["ours"], "optuna_margin": margins["optuna"]})
            values = "  ".join(f"{arm} {median:8.4g}" for arm, median in medians.items())
            times = ", ".join(f"{margin:.2f}" for margin in margins.values())
            print(f"{name:<11}{sampler:<21}{values}  times nearer than random: {times}", flush=True)
    return found


def budget(sampler: str) -> int:
    """Return how many trials a search has."""
    return BUDGETS.get(sampler, 60)


def best_of_ours(sampler: str, name: str, seed: int) -> float:
    """Return the best value that our suggestions find."""
    function, trials = FUNCTIONS[name], budget(sampler)
    return best_of(make_suggester(space(function.ranges, sampler, trials), seed), function, trials)


def best_of_chance(sampler: str, name: str, seed: int) -> float:
    """Return the best value of random search with as many trials as `sampler`, by seeds of its own."""
    function, trials = FUNCTIONS[name], budget(sampler)
    return best_of(make_suggester(space(function.ranges, "random", trials), seed + 1000), function, trials)


def best_of(suggester: Any, function: Function, trials: int) -> float:
    """Return the best value of a search."""
    best = math.inf
    for number in range(trials):
        value = function.call([float(each) for each in suggester.ask().values()])
        suggester.tell(number, value)
        best = min(best, value)
    return best


def best_of_optuna(sampler: str, name: str, seed: int) -> float:
    """Return the best value of Optuna's sampler as Optuna's own loop uses it."""
    import optuna
    from optuna import samplers

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    function = FUNCTIONS[name]
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
            lambda trial: function.call(
                [trial.suggest_float(f"x{place}", low, high) for place, (low, high) in enumerate(function.ranges)]
            ),
            n_trials=budget(sampler),
        )
    return float(study.best_value)


if __name__ == "__main__":
    main()
