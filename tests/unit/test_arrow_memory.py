"""What goes between Arrow and numpy is what pyarrow's own conversions give, and pandas is not loaded for it."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from ropewalk.arrow_memory import as_arrow, as_scalar, as_texts, filled, no_value, present

GAPS = pa.array([None, 1, 2, None, 5, 6, None, 8, 9, 10], pa.int32())
COLUMNS = [GAPS, GAPS.cast(pa.float64()), GAPS.drop_null().cast(pa.uint8()), pa.nulls(5, pa.float64()), GAPS[:0]]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: f"{column.type}-{len(column)}")
@pytest.mark.parametrize("first", [0, 3])
def test_values_are_those_that_pyarrow_gives(column: pa.Array, first: int) -> None:
    column = column.slice(first)
    assert present(column).tolist() == column.drop_null().to_pylist()
    assert filled(column, 7).tolist() == column.fill_null(7).to_pylist()


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint64, np.float32, np.float64])
def test_numbers_become_the_array_that_pyarrow_makes(kind: type) -> None:
    values = np.arange(10).astype(kind)[::3]
    assert as_arrow(values).equals(pa.array(values))


@pytest.mark.parametrize("texts", [[], [""], ["a", "", "\u00e9\u20ac", "a"]])
def test_texts_become_the_array_that_pyarrow_makes(texts: list[str]) -> None:
    made = as_texts(texts)
    made.validate(full=True)
    assert made.equals(pa.array(texts, pa.string()))


def test_scalars_have_the_types_of_python_numbers() -> None:
    assert (as_scalar(2), as_scalar(0.5)) == (pa.scalar(2), pa.scalar(0.5))
    assert no_value(pa.string()) == pa.scalar(None, pa.string())


def test_pandas_stays_out() -> None:
    script = (
        "import sys, numpy as np; from ropewalk.arrow_memory import *;"
        "whole = as_arrow(np.arange(3)); present(whole); filled(whole, 1); as_texts(['a']); as_scalar(1.0);"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", script], check=False).returncode == 0
