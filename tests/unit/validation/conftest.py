"""Fixtures of the validation tests."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ropewalk.artifacts import RAW_DATA, write_artifact


@pytest.fixture
def make_raw_with_schema(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a data frame as a raw-data artifact with a schema beside it."""

    def make(table: pd.DataFrame, schema: str, name: str = "raw", file: str = "table.schema.yaml") -> Path:
        with write_artifact(tmp_path / name, RAW_DATA) as draft:
            (draft.folder / "data").mkdir()
            table.to_parquet(draft.folder / "data" / "table.parquet")
            (draft.folder / "data" / file).write_text(schema, encoding="utf-8")
        return tmp_path / name

    return make
