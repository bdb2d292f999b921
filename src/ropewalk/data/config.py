"""Settings of how data are pulled."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which files to pull, where to keep them for other runs, and what to compare them with."""

    pattern: str = ""
    """Which files of a folder, such as "2024-*.parquet" (`*` crosses folders); empty is all of them."""
    cache: str = ""
    """Folder, such as a mounted volume, that keeps what DVC tracks for other runs, also at the same time; or none."""
    reference_revision: str = ""
    """Tag, branch or commit of the version that validation compares the data with; empty compares with none."""
