"""Small real data sets, those that scikit-learn has, as CSV files: `sample:<name>`."""

import gzip
import shutil
from importlib import resources
from pathlib import Path

from ropewalk.errors import SourceError, nearest

TARGETS = {"breast_cancer": "diagnosis", "wine": "cultivar", "diabetes": "progression"}
"""The samples and their target columns: two classes, three classes, a number."""


def check_sample(name: str) -> None:
    """Return when there is such a sample.

    Raises:
        SourceError: There is none.
    """
    if name not in TARGETS:
        raise SourceError(f"There is no sample {name!r}.{nearest(name, TARGETS)} Samples: {', '.join(TARGETS)}.")


def write_sample(name: str, destination: Path) -> str:
    """Write the sample as `destination`/<name>.csv and return the name of its target column."""
    destination.mkdir(parents=True, exist_ok=True)
    packed = resources.files("ropewalk.data") / "sample_files" / f"{name}.csv.gz"
    # Not from scikit-learn: what pulls data would need it, with SciPy 150 MB, for these three files alone.
    with packed.open("rb") as stream, gzip.open(stream) as table, (destination / f"{name}.csv").open("wb") as out:
        shutil.copyfileobj(table, out)
    return TARGETS[name]
