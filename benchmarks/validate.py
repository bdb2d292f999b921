"""How fast, and in how much memory, are a schema's rules checked on a table, against pandera on one pandas frame?

Makes a Parquet table in a temporary folder, then measures in fresh processes, in turn:

- a table in memory: pandera on a pandas frame, and our rules on Arrow batches as our reader yields them;
- from the file: pandas reading it and pandera validating the frame, and our rules, streamed;
- the whole validation step (bytes checked, profiles, leaks, repeated rows, page), without and with a reference version.

All load the same schema file.

    python benchmarks/validate.py [--rows 5000000] [--rounds 5] [--results FILE]
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ARMS = (
    *("pandera in memory", "rules in memory", "pandera from file", "rules from file"),
    *("whole step", "whole step, reference"),
)
PAIRS = (
    ("rules in memory", "pandera in memory"),
    ("rules from file", "pandera from file"),
    ("rules from file", "pandera in memory"),
)
TARGET = "class"
BATCH = 500_000
MEBI = 2**20


def main() -> None:
    """Measure, print a table, and write it to --results when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the table (default 5 million)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each arm (default 5)")
    parser.add_argument("--results", type=Path, help="also write the figures to this JSON file")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        print(json.dumps(measure(arguments.arm, arguments.folder)))
        return
    figures = compare(arguments.rows, arguments.rounds)
    show(figures)
    if arguments.results:
        arguments.results.parent.mkdir(exist_ok=True)
        arguments.results.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def compare(rows: int, rounds: int) -> dict[str, Any]:
    """Return the medians of `rounds` measurements, arms in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_table(folder, rows)
        found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for number in range(rounds):
            for arm in ARMS:
                command = [sys.executable, __file__, "--arm", arm, "--folder", folder]
                ended = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
                found[arm].append(json.loads(ended.stdout.splitlines()[-1]))
            print(f"round {number + 1}: " + ", ".join(f"{arm} {found[arm][-1]['wall_s']:.2f} s" for arm in ARMS))
        file_bytes = (folder / "raw/data/table.parquet").stat().st_size
    medians = {arm: {key: statistics.median(one[key] for one in found[arm]) for key in found[arm][0]} for arm in ARMS}
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "rows": rows,
        "columns": 20,
        "file_bytes": file_bytes,
        "rounds": rounds,
        "medians": medians,
        "times_faster": {
            f"{ours} than {arm}": {key: medians[arm][key] / medians[ours][key] for key in ("cpu_s", "wall_s")}
            for ours, arm in PAIRS
        },
    }


def make_table(folder: Path, rows: int) -> None:
    """Write a raw-data artifact of 20 columns, with a schema beside the table."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ropewalk.artifacts import RAW_DATA, write_artifact

    random = np.random.default_rng(0)
    cities = np.array([f"city-{place:03}" for place in range(200)])
    with write_artifact(folder / "raw", RAW_DATA) as draft:
        data = draft.folder / "data"
        data.mkdir()
        writer = None
        for first in range(0, rows, BATCH):
            size = min(BATCH, rows - first)
            columns: dict[str, Any] = {"key": np.arange(first, first + size)}
            columns |= {f"amount{number}": random.normal(100, 20, size) for number in range(8)}
            columns |= {f"count{number}": random.integers(0, 1000, size) for number in range(4)}
            columns |= {f"rate{number}": random.random(size) for number in range(2)}
            columns |= {f"city{number}": cities[random.integers(0, 200, size)] for number in range(2)}
            columns["code"] = np.char.add("A", random.integers(1000, 9999, size).astype("U4"))
            columns["flag"] = random.random(size) < 0.3
            columns[TARGET] = np.array(["no", "yes"])[random.integers(0, 2, size)]
            batch = pa.table(columns).set_column(
                1, "amount0", pa.array(columns["amount0"], mask=columns["rate0"] < 0.05)
            )
            writer = writer or pq.ParquetWriter(data / "table.parquet", batch.schema)
            writer.write_table(batch)
        assert writer is not None
        writer.close()
        (data / "table.schema.yaml").write_text(SCHEMA, encoding="utf-8")


def _ranges(prefix: str, amount: int, dtype: str, low: float, high: float) -> str:
    column = "  {0}{1}: {{dtype: {2}, nullable: {3}, in_range: {{min_value: {4}, max_value: {5}}}}}\n"
    return "".join(
        column.format(prefix, number, dtype, str(prefix == "amount").lower(), low, high) for number in range(amount)
    )


SCHEMA = (
    "schema_type: dataframe\ncolumns:\n  key: {dtype: int64, unique: true, greater_than_or_equal_to: 0}\n"
    + _ranges("amount", 8, "float64", -200, 400)
    + _ranges("count", 4, "int64", 0, 999)
    + _ranges("rate", 2, "float64", 0, 1)
    + "".join(
        f"  city{number}: {{dtype: str, isin: [{', '.join(f'city-{place:03}' for place in range(200))}]}}\n"
        for number in range(2)
    )
    + "  code: {dtype: str, str_matches: 'A[0-9]{4}$'}\n  flag: {dtype: bool}\n"
    + f"  {TARGET}: {{dtype: str, isin: ['no', 'yes']}}\n"
    + "checks:\n- {left: rate0, op: '!=', right: rate1, options: {check_name: compare_columns, raise_warning: true}}\n"
)


def measure(arm: str, folder: Path) -> dict[str, float]:
    """Run one arm and return its seconds, wall and CPU, and the most memory that the process held."""
    prepared = prepare(arm, folder / "raw")
    started, cpu = time.perf_counter(), cpu_seconds()
    run(arm, folder, prepared)
    wall, used = time.perf_counter() - started, cpu_seconds() - cpu
    return {"wall_s": wall, "cpu_s": used, "peak_mib": peak_mebibytes()}


def prepare(arm: str, raw: Path) -> Any:
    """Import what an arm needs and return what it has before it starts."""
    if arm.startswith("whole step"):
        import ropewalk.validation.validate  # noqa: F401

        return None
    from ropewalk.validation.schema import find_schema

    schema = find_schema(raw, {})
    assert schema is not None
    if arm == "pandera in memory":
        import pandas as pd

        return schema.schema, pd.read_parquet(raw / "data/table.parquet")
    if arm == "rules in memory":
        return schema, hold(raw)
    return schema


def hold(raw: Path) -> Any:
    """Return a table whose batches are in memory."""
    from ropewalk.data.tables import TableStream, open_table

    table = open_table(raw)
    batches = list(table.coded_batches())

    class Held(TableStream):
        def coded_batches(self) -> Iterator[Any]:
            return iter(batches)

    return Held(schema=table.schema, rows=table.rows, files=())


def run(arm: str, folder: Path, prepared: Any) -> None:
    """Do what is measured."""
    raw = folder / "raw"
    if arm == "pandera in memory":
        schema, frame = prepared
        schema.validate(frame, lazy=True)
    elif arm == "pandera from file":
        import pandas as pd

        prepared.schema.validate(pd.read_parquet(raw / "data/table.parquet"), lazy=True)
    elif arm == "rules in memory":
        check(*prepared)
    elif arm == "rules from file":
        from ropewalk.data.tables import open_table

        check(prepared, open_table(raw))
    else:
        from ropewalk.validation.validate import validate

        reference = raw if arm.endswith("reference") else None
        validate(raw, report=folder / "page.html", target=TARGET, reference=reference)


def check(schema: Any, table: Any) -> None:
    """Check the rules of a schema on a table that meets them."""
    from ropewalk.validation.scan import check_rules
    from ropewalk.validation.schema_rules import rules_of_schema

    broken = check_rules(table, rules_of_schema(schema, table.schema))
    assert not [found for found in broken if found.rule.severity == "error"]


def cpu_seconds() -> float:
    """Return the CPU time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mebibytes() -> float:
    """Return the most memory that this process has held."""
    # ru_maxrss would also count what the parent held when it started this process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / MEBI


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    print(f"\n{figures['machine']}; {figures['rows']:,} rows x {figures['columns']}, medians of {figures['rounds']}\n")
    for arm, median in figures["medians"].items():
        print(f"  {arm:<24}{median['wall_s']:8.2f} s wall {median['cpu_s']:8.2f} s CPU {median['peak_mib']:8.0f} MiB")
    for pair, ratio in figures["times_faster"].items():
        print(f"  {pair:<42}{ratio['wall_s']:6.2f} times by wall, {ratio['cpu_s']:6.2f} by CPU")


if __name__ == "__main__":
    main()
