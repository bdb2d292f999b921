"""The whole step, a reference too, on a table for which the memory that a process may have does not suffice."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ropewalk.artifacts import RAW_DATA, write_artifact

ROWS, PARTS, COLUMNS = 7_000_000, 14, 16
TABLE_BYTES = 8 * ROWS * COLUMNS
MEMORY_BYTES = 560 * 2**20
"""What a process may hold beyond what the imports took."""

LIMITED = """
import resource, sys
from pathlib import Path
import matplotlib.figure
import ropewalk.report.figure
from ropewalk.data.tables import read_table
from ropewalk.validation.validate import validate

raw, report, more = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
lines = Path("/proc/self/status").read_text().splitlines()
held = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (held + more, held + more))
if sys.argv[1] == "read":
    read_table(raw)
else:
    validate(raw, report=report, target="y", reference=raw)
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Return an artifact with a table that is small on the disk, because few values occur, and large in memory."""
    random = np.random.default_rng(0)
    with write_artifact(tmp_path / "raw", RAW_DATA) as draft:
        (draft.folder / "data").mkdir()
        columns = {f"x{number}": random.integers(0, 4, ROWS // PARTS) / 3 for number in range(COLUMNS - 2)}
        part = pa.table({"key": np.arange(ROWS // PARTS), **columns, "y": random.integers(0, 2, ROWS // PARTS)})
        with pq.ParquetWriter(draft.folder / "data/table.parquet", part.schema) as writer:
            for number in range(PARTS):
                keys = pc.add(part["key"], number * len(part))
                writer.write_table(part.set_column(0, "key", keys))
    return tmp_path / "raw"


def run(what: str, raw: Path, report: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, what, raw, report, MEMORY_BYTES]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def test_a_table_larger_than_memory_is_validated(large: Path, tmp_path: Path) -> None:
    assert TABLE_BYTES > 1.5 * MEMORY_BYTES
    read = run("read", large, tmp_path / "report.html")
    assert read.returncode != 0
    assert "MemoryError" in read.stderr
    validated = run("validate", large, tmp_path / "report.html")
    assert validated.returncode == 0, validated.stderr
    assert "7,000,000" in (tmp_path / "report.html").read_text()
