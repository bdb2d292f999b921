"""Where Arrow takes memory from while a table streams by."""

import os
import sys
from collections.abc import MutableMapping

_SETTING = "ARROW_DEFAULT_MEMORY_POOL"


def use_jemalloc(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have Arrow allocate by jemalloc, unless the user said by what; before pyarrow is imported, which reads it then.

    Batches of a table come and go in pieces of ever other sizes. What jemalloc is left with between them grows less
    with the number of rows than mimalloc's, Arrow's default, and it takes less time; see benchmarks/README.md. Both are
    part of pyarrow's wheels for Linux and macOS (https://arrow.apache.org/docs/cpp/memory.html).
    """
    if sys.platform in ("linux", "darwin"):
        environment.setdefault(_SETTING, "jemalloc")
