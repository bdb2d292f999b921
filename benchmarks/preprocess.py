"""What does preprocessing a table cost, against the same by polars (eager) and by pandas?

Makes a table of 18 columns (a key, 12 numbers with 3 % gaps, 4 texts of up to 20,000 values, a target) as Parquet and
as CSV in a temporary folder, then measures each arm in a fresh process of one thread, in turn. CPU time is that of the
process after its imports; memory is the most that it held (VmHWM). All arms do the same:

- read the file and split its rows 70/15/15 by a hash of all features;
- of the training rows: per number count, mean, deviation, extent and 52 quantiles of a sample of 262,144 rows; per
  text how often each value occurs;
- write the three splits as Parquet, compressed by lz4 (ours in the layout that fits each column, so that its files are
  the smallest; polars without extents, which is quicker than its defaults; pandas with its defaults, which try
  dictionaries for numbers too);
- take the SHA-256 of the file that is read and of those that are written.

Ours besides infers roles, looks for copies of the target, and writes manifests and a preprocessor.

    python benchmarks/preprocess.py [--rows 3000000] [--rounds 5] [--memory-rows 1000000,30000000] [--results FILE]
"""

import argparse
import hashlib
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NUMBERS = [f"n{place}" for place in range(12)]
TEXTS = {"s0": 20, "s1": 300, "s2": 5_000, "s3": 20_000}
KEY, TARGET = "id", "y"
QUANTILES = [0.25, 0.5, 0.75, *(place / 48 for place in range(49))]
SAMPLE = 262_144
SHARES = (0.7, 0.85)
BATCH = 250_000
MOST_ROWS = 3_000_000
"""Of one file, where memory is measured."""
SPLITS = ("train", "validation", "test")
ARMS = ("ropewalk parquet", "polars parquet", "pandas parquet", "ropewalk csv", "polars csv")
BARS = {
    "ropewalk parquet / polars parquet": 1.1,
    "ropewalk csv / polars csv": 1.3,
    "ropewalk parquet / pandas parquet": 0.5,
}
ONE_THREAD = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def main() -> None:
    """Measure, print a table, and write it to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of the table (default 3 million)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm (default 5)")
    parser.add_argument(
        "--memory-rows", default="", help="also our memory for these numbers of rows, with commas between"
    )
    parser.add_argument("--folder", type=Path, help="where to make the files (default: a temporary folder)")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        print(json.dumps(measure(arguments.arm, arguments.folder)))
        return
    figures = compare(arguments.rows, arguments.rounds, arguments.folder)
    figures["import_cpu_s"] = import_seconds()
    figures["peak_mib_by_rows"] = {
        rows: peak_of(int(rows), arguments.folder) for rows in filter(None, arguments.memory_rows.split(","))
    }
    show(figures)
    if arguments.results:
        arguments.results.parent.mkdir(exist_ok=True)
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def compare(rows: int, rounds: int, parent: Path | None) -> dict[str, Any]:
    """Return the medians of `rounds` measurements, arms in turn, and the ratios of each round's pairs."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        make_tables(folder, rows, kinds=("parquet", "csv"))
        for kind in ("parquet", "csv"):
            link_raw(folder, kind, 1)
        found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for number in range(rounds):
            for arm in ARMS:
                found[arm].append(run_arm(arm, folder))
            print(f"round {number + 1}: " + ", ".join(f"{arm} {found[arm][-1]['cpu_s']:.2f} s" for arm in ARMS))
        sizes = {kind: file_of(folder, kind).stat().st_size for kind in ("parquet", "csv")}
    medians = {arm: {key: statistics.median(one[key] for one in found[arm]) for key in found[arm][0]} for arm in ARMS}
    ratios = {}
    for pair in BARS:
        ours, other = pair.split(" / ")
        each = [one["cpu_s"] / two["cpu_s"] for one, two in zip(found[ours], found[other], strict=True)]
        ratios[pair] = {"median": statistics.median(each), "low": min(each), "high": max(each), "bar": BARS[pair]}
    return {
        "machine": machine(),
        "rows": rows,
        "columns": 18,
        "file_bytes": sizes,
        "rounds": rounds,
        "load": os.getloadavg()[1],
        "medians": medians,
        "cpu_ratios": ratios,
    }


def machine() -> str:
    """Return the processor's name, cores and Python."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{model}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def run_arm(arm: str, folder: Path) -> dict[str, float]:
    """Return what one arm used, measured in a process of its own."""
    command = [sys.executable, __file__, "--arm", arm, "--folder", str(folder)]
    environment = {**os.environ, **ONE_THREAD}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return result


def import_seconds() -> float:
    """Return the median CPU time of a process that imports our step, less that of one that imports nothing."""
    found: dict[str, list[float]] = {"pass": [], "import ropewalk.preprocess.preprocess": []}
    for _ in range(7):
        for statement, seconds in found.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", statement], check=True, env={**os.environ, **ONE_THREAD})
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    bare, ours = (statistics.median(seconds) for seconds in found.values())
    return ours - bare


def peak_of(rows: int, parent: Path | None) -> float:
    """Return our peak memory in MiB for Parquet files of so many rows; above 3 million, all are links to one file."""
    files = max(rows // MOST_ROWS, 1)
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        make_tables(folder, rows // files, kinds=("parquet",))
        link_raw(folder, "parquet", files)
        return run_arm("ropewalk parquet", folder)["peak_mib"]


def file_of(folder: Path, kind: str) -> Path:
    """Return where the table of this kind is."""
    return folder / kind / "data" / f"table.{kind}"


def make_tables(folder: Path, rows: int, kinds: tuple[str, ...]) -> None:
    """Write the table as one file of each kind."""
    import numpy as np
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    words = {name: np.array([f"{name}-{place:05}" for place in range(many)]) for name, many in TEXTS.items()}
    for kind in kinds:
        file_of(folder, kind).parent.mkdir(parents=True)
    parquet = None
    for first in range(0, rows, BATCH):
        size = min(BATCH, rows - first)
        columns: dict[str, Any] = {KEY: np.arange(first, first + size)}
        for place, name in enumerate(NUMBERS):
            columns[name] = pa.array(random.normal(10 * place, 1 + place, size), mask=random.random(size) < 0.03)
        columns |= {name: words[name][random.integers(0, many, size)] for name, many in TEXTS.items()}
        table = pa.table({**columns, TARGET: random.integers(0, 2, size)})
        parquet = parquet or pq.ParquetWriter(file_of(folder, "parquet"), table.schema, compression="zstd")
        parquet.write_table(table)
        if "csv" in kinds:
            with file_of(folder, "csv").open("ab") as stream:
                pl.from_arrow(table).write_csv(stream, include_header=first == 0)
    assert parquet is not None
    parquet.close()


def link_raw(folder: Path, kind: str, files: int) -> None:
    """Make a raw-data artifact whose files are all links to the table."""
    from ropewalk.artifacts import RAW_DATA, write_artifact

    with write_artifact(folder / f"raw-{kind}", RAW_DATA) as draft:
        (draft.folder / "data").mkdir()
        for number in range(files):
            os.link(file_of(folder, kind), draft.folder / "data" / f"table-{number}.{kind}")


def measure(arm: str, folder: Path) -> dict[str, float]:
    """Run one arm and return its seconds, CPU and wall, the most memory that the process held, and what it wrote."""
    library, kind = arm.split()
    do = {"ropewalk": by_ropewalk, "polars": by_polars, "pandas": by_pandas}[library]
    load(library)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        started, cpu = time.perf_counter(), cpu_seconds()
        do(folder, kind, Path(out))
        wall, used = time.perf_counter() - started, cpu_seconds() - cpu
        written = sum(file.stat().st_size for file in Path(out).rglob("*.parquet"))
    return {"cpu_s": used, "wall_s": wall, "peak_mib": peak_mebibytes(), "written_bytes": written}


def load(library: str) -> None:
    """Import what the arm needs, on one thread."""
    if library == "ropewalk":
        importlib.import_module("ropewalk.preprocess.allocation").use_jemalloc()
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    importlib.import_module({"ropewalk": "ropewalk.preprocess.preprocess"}.get(library, library))


def by_ropewalk(folder: Path, kind: str, out: Path) -> None:
    """The step as it is."""
    from ropewalk.preprocess.preprocess import preprocess

    outputs = {name: out / name for name in (*SPLITS, "preprocessor")}
    preprocess(folder / f"raw-{kind}", **outputs, target=TARGET, task="binary")


def by_polars(folder: Path, kind: str, out: Path) -> None:
    """The same in polars, the whole table in memory."""
    import polars as pl

    file = file_of(folder, kind)
    sha256(file)
    frame = pl.read_parquet(file) if kind == "parquet" else pl.read_csv(file)
    share = frame.drop(TARGET).hash_rows().cast(pl.Float64) / 2.0**64
    first, second = SHARES
    masks = (share < first, (share >= first) & (share < second), share >= second)
    parts = [frame.filter(mask) for mask in masks]
    train = parts[0]
    columns = [pl.col(name) for name in (KEY, *NUMBERS)]
    learned = [
        train.select(columns).select(how)
        for how in (pl.all().count(), pl.all().mean(), pl.all().std(), pl.all().min(), pl.all().max())
    ]
    sample = train.sample(min(SAMPLE, train.height), seed=0)
    for name in (KEY, *NUMBERS):
        ordered = sample[name].drop_nulls().sort()
        learned.append([ordered.quantile(place, "linear") for place in QUANTILES])
    learned += [train[name].value_counts(sort=True) for name in TEXTS]
    for name, part in zip(SPLITS, parts, strict=True):
        path = out / f"{name}.parquet"
        part.write_parquet(path, compression="lz4", statistics=False, row_group_size=65_536)
        sha256(path)


def by_pandas(folder: Path, kind: str, out: Path) -> None:
    """The same in pandas, the whole table in memory; from Parquet only."""
    import numpy as np
    import pandas as pd

    file = file_of(folder, kind)
    sha256(file)
    frame = pd.read_parquet(file)
    share = pd.util.hash_pandas_object(frame.drop(columns=TARGET), index=False).to_numpy() / 2.0**64
    places = np.digitize(share, SHARES)
    parts = [frame[places == place] for place in range(len(SPLITS))]
    train = parts[0]
    learned = [train[[KEY, *NUMBERS]].agg(["count", "mean", "std", "min", "max"])]
    learned.append(train.sample(min(SAMPLE, len(train)), random_state=0)[[KEY, *NUMBERS]].quantile(QUANTILES))
    learned += [train[name].value_counts() for name in TEXTS]
    for name, part in zip(SPLITS, parts, strict=True):
        path = out / f"{name}.parquet"
        part.to_parquet(path, index=False, compression="lz4")
        sha256(path)


def sha256(path: Path) -> str:
    """Return a file's digest."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cpu_seconds() -> float:
    """Return the CPU time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mebibytes() -> float:
    """Return the most memory that this process has held."""
    # ru_maxrss would also count what the parent held when it started this process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    print(f"\n{figures['machine']}; {figures['rows']:,} rows x {figures['columns']}, medians of {figures['rounds']}\n")
    for arm, median in figures["medians"].items():
        print(f"  {arm:<18}{median['cpu_s']:8.2f} s CPU {median['wall_s']:8.2f} s wall {median['peak_mib']:8.0f} MiB")
    for pair, ratio in figures["cpu_ratios"].items():
        spread = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
        print(f"  {pair:<36}{ratio['median']:6.2f} ({spread}), bar {ratio['bar']}")
    print(f"  import of the step: {figures['import_cpu_s']:.2f} s CPU, bar 0.5")
    for rows, peak in figures["peak_mib_by_rows"].items():
        print(f"  peak of {int(rows):,} rows: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
