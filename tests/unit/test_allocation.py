"""Freed memory is kept for the next step, or goes back at once; unless the user said otherwise."""

import os
import subprocess
import sys

import pytest

from ropewalk.allocation import give_freed_memory_back, keep_freed_memory

_FAULTS = """
import resource, sys
from ropewalk.allocation import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory({}):
    sys.exit("not glibc")
def step():
    blocks = [b"x" * 2**24 for _ in range(6)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _printed(program: str, what: str) -> int:
    command = [sys.executable, "-c", program, what]
    untuned = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "ARROW_"))
    }
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=untuned)
    if "not glibc" in ended.stderr:
        pytest.skip("another C library than glibc, which is left as it is")
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


def test_steps_after_the_first_find_their_memory_in_place() -> None:
    assert _printed(_FAULTS, "keep") < _printed(_FAULTS, "as it comes") / 10


@pytest.mark.parametrize(
    "name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "ARROW_DEFAULT_MEMORY_POOL"]
)
def test_what_the_user_tuned_is_left_alone(name: str) -> None:
    tuned = {name: "1"}
    assert not keep_freed_memory(tuned)
    assert not give_freed_memory_back(tuned)
    assert tuned == {name: "1"}


_HELD = """
import os, re, sys
from ropewalk.allocation import give_freed_memory_back
if sys.argv[1] == "give back" and not give_freed_memory_back():
    sys.exit("not glibc")
import pyarrow as pa
assert pa.default_memory_pool().backend_name == ("system" if sys.argv[1] == "give back" else "mimalloc")
def held():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
# Small blocks that stay lie between large ones that go.
[b"x" * 2**24 for _ in range(2)]
blocks = [(b"x" * 2**21, b"y" * 2**16) for _ in range(64)]
before = held()
stay = [small for _, small in blocks]
del blocks
print(before - held())
"""


def test_large_blocks_go_back_from_between_small_ones_and_arrow_takes_the_same_memory() -> None:
    assert _printed(_HELD, "give back") >= 60 * 2**21
    assert _printed(_HELD, "as it comes") < 30 * 2**21
