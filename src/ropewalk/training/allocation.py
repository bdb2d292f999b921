"""What the C library does with memory that training has freed."""

import ctypes
import os
from collections.abc import Mapping

# /usr/include/malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 2**30
_LARGEST_REUSED_BYTES = 2**25
"""The most that glibc takes."""

_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Have glibc keep up to 1 GiB of freed memory for the next step, unless the user tuned it; returns whether it will.

    By default it gives the memory of a step on thousands of rows back to the system when the step has freed it, and the
    next one takes it again, page by page; see benchmarks/README.md. Blocks of more than 32 MiB, such as tables, still
    go back at once. Other C libraries are left as they are (mallopt(3)).
    """
    if not _is_glibc() or any(name in environment for name in _SET_BY_USER):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_REUSED_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except ValueError:
        return False
