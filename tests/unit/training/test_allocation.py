"""Memory that a step has freed stays for the next one, unless the user said otherwise."""

import os
import subprocess
import sys

import pytest

from ropewalk.training.allocation import keep_freed_memory

_FAULTS = """
import resource, sys
from ropewalk.training.allocation import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory({}):
    sys.exit("not glibc")
def step():
    blocks = [b"x" * 2**24 for _ in range(6)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(what: str) -> int:
    command = [sys.executable, "-c", _FAULTS, what]
    untuned = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=untuned)
    if "not glibc" in ended.stderr:
        pytest.skip("another C library than glibc, which is left as it is")
    return int(ended.stdout)


def test_steps_after_the_first_find_their_memory_in_place() -> None:
    assert _page_faults("keep") < _page_faults("as it comes") / 10


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_user_tuned_is_left_alone(name: str) -> None:
    assert not keep_freed_memory({name: "1"})
